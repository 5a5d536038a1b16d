"""Vault: what stands in a text in place of what others must not read, and how whoever has the key gets it back.

A token is made of its value with the key, so it is the same wherever the value stands. The value itself is sealed with
the key (Fernet: AES and HMAC) and kept beside the verdict that took it out.
"""

import hashlib
import hmac
import re
from base64 import b32encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from engine.definition.guardrail import Action, Span, Verdict
from engine.errors import ConfigurationError
from engine.ports import Ledger
from engine.records import RunRecord, VerdictRecord

ENVIRONMENT = "FLOWLEDGER_TOKEN_KEY"
TOKEN = re.compile(r"<[A-Z][A-Z0-9_]{0,30}_[A-Z2-7]{8}>")
_BEGUN = re.compile(r"<[A-Z0-9_]{0,40}\Z")
_DIGITS = 8
_HOW = (
    f"set {ENVIRONMENT} or App(token_key=...) to what "
    '`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"` prints'
)


class TokenKey:
    """The key of an app: it alone can make the token of a value, and open what is sealed.

    Raises:
        ConfigurationError: it is no key, or the extra `tokens` is not installed.
    """

    def __init__(self, key: str) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken
        except ImportError as error:
            raise ConfigurationError("tokens need the extra: pip install 'flowledger[tokens]'") from error
        try:
            self._fernet = Fernet(key)
        except ValueError:
            raise ConfigurationError(f"the key for tokens is not one (32 bytes in base64): {_HOW}") from None
        self._invalid = InvalidToken
        self._secret = hashlib.sha256(b"flowledger token\0" + key.encode()).digest()

    def digits(self, *parts: str) -> str:
        """Give eight letters and digits for a value that nobody can make or undo without the key."""
        said = "\0".join(parts).encode("utf-8", "surrogatepass")
        return b32encode(hmac.new(self._secret, said, hashlib.sha256).digest()).decode()[:_DIGITS]

    def seal(self, value: str) -> str:
        """Encrypt a value; what comes of it can be kept anywhere."""
        return self._fernet.encrypt(value.encode("utf-8", "surrogatepass")).decode()

    def open(self, sealed: str) -> str | None:
        """Decrypt a value; None where it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed).decode("utf-8", "surrogatepass")
        except self._invalid:
            return None


@dataclass(slots=True)
class Vault:
    """The tokens of a run.

    Attributes:
        key: None where the app has none.
        tenant: whose tokens they are; another's has others for the same value.
        recorded: reads what guardrails took out before this process had the run, in it and in the run it replays.
    """

    key: TokenKey | None
    tenant: str
    recorded: Callable[[], Awaitable[Sequence[VerdictRecord]]]
    _values: dict[str, str] = field(default_factory=dict[str, str])
    _is_read: bool = False

    @classmethod
    def of(cls, record: RunRecord, ledger: Ledger, key: TokenKey | None) -> "Vault":
        """Give the tokens of a run, of which it and the run that it replays have verdicts."""

        async def recorded() -> Sequence[VerdictRecord]:
            found, parent = await ledger.verdicts(record.run_id), record.parent_run_id
            while parent is not None:
                found = [*found, *await ledger.verdicts(parent)]
                parent = (await ledger.run(parent)).parent_run_id
            return found

        return cls(key, record.tenant or "", recorded)

    def put_in(self, guardrail: str, verdict: Verdict, text: str) -> Verdict:
        """Give a verdict with what is to stand in place of each of its spans, where that takes the key.

        Raises:
            ConfigurationError: the app has no key.
        """
        if not any((span.action or verdict.action) in _KEYED for span in verdict.spans):
            return verdict
        if self.key is None:
            raise ConfigurationError(f"the guardrail {guardrail!r} hashes or tokenises, which takes a key: {_HOW}")
        spans = [self._filled(self.key, span, span.action or verdict.action, text) for span in verdict.spans]
        return verdict.model_copy(update={"spans": tuple(spans)})

    def _filled(self, key: TokenKey, span: Span, action: Action, text: str) -> Span:
        if action not in _KEYED:
            return span
        value = text[span.start : span.end]
        digits = key.digits(self.tenant, span.label, value)
        if action is Action.HASH:
            return span.model_copy(update={"put": f"[{span.label}:{digits.lower()}]"})
        token = f"<{span.label}_{digits}>"
        self._values[token] = value
        return span.model_copy(update={"put": token, "sealed": key.seal(value)})

    async def restored(self, value: Any) -> Any:
        """Give JSON with every token of the run put back to what it stands for."""
        if self.key is None:
            return value
        return await self._restored(value, self.key)

    async def _restored(self, value: Any, key: TokenKey) -> Any:
        if isinstance(value, str):
            found = set(TOKEN.findall(value))
            if found - self._values.keys() and not self._is_read:
                await self._read(key)
            return TOKEN.sub(lambda match: self._values.get(match[0], match[0]), value) if found else value
        if isinstance(value, Mapping):
            items = cast("Mapping[str, Any]", value).items()
            return {name: await self._restored(inner, key) for name, inner in items}
        if isinstance(value, list | tuple):
            return [await self._restored(inner, key) for inner in cast("Sequence[Any]", value)]
        return value

    async def _read(self, key: TokenKey) -> None:
        self._is_read = True
        for verdict in await self.recorded():
            for span in verdict.spans:
                if (sealed := span.get("sealed")) and (value := key.open(sealed)) is not None:
                    self._values.setdefault(span["put"], value)

    def hidden(self, value: Any) -> Any:
        """Give JSON with every value of the run that has a token as that token: the other way round."""
        if isinstance(value, str):
            for token, plain in sorted(self._values.items(), key=lambda pair: -len(pair[1])):
                value = value.replace(plain, token)
            return value
        if isinstance(value, Mapping):
            return {name: self.hidden(inner) for name, inner in cast("Mapping[str, Any]", value).items()}
        return [self.hidden(inner) for inner in cast("list[Any]", value)] if isinstance(value, list) else value

    def whole_up_to(self, text: str) -> int:
        """Say where in a text that goes on a token may have begun and not ended."""
        begun = None if self.key is None else _BEGUN.search(text)
        return len(text) if begun is None else begun.start()


_KEYED = {Action.HASH, Action.TOKENISE}
