"""Language: texts are in a language that the application speaks."""

import importlib
from collections.abc import Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine import Action, ConfigurationError, GuardItem, Guardrail, Verdict
from engine.definition.by_path import Many

_FEWEST_LETTERS = 12
_SURE = 70  # per cent of the text


class Language(Guardrail):
    """Turns down a text in another language, as two letters by ISO 639-1; extra `language` (CLD2, offline).

    A text of few letters, or one that mixes languages, passes: nobody can tell. Close languages are mistaken for each
    other, as Malay and Indonesian are; allow both.
    """

    labels: ClassVar[Sequence[str] | None] = ()

    allow: Many[str] = Field(min_length=1)
    """The languages, as in ["en", "de"]."""
    action: Literal["block", "reask", "flag"] = "block"
    """What is done about a text in another."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Tell the language of one text."""
        if len(list(islice(filter(str.isalpha, text), _FEWEST_LETTERS))) < _FEWEST_LETTERS:
            return Verdict(action=Action.ALLOW)
        language, share = language_of(text)
        if language is None or share < _SURE or language in self.allow:
            return Verdict(action=Action.ALLOW)
        reason = f"the text is in {language!r}, and {', '.join(self.allow)} may be used"
        return Verdict(action=Action(self.action), reason=reason, score=share / 100)


class _Readable(dict[int, int]):
    """What CLD2 takes of each character: it stops at what is neither printable nor a gap."""

    def __missing__(self, code: int) -> int:
        one = chr(code)
        read = self[code] = code if one.isprintable() or one.isspace() else ord(" ")
        return read


_READABLE = _Readable()


def language_of(text: str) -> tuple[str | None, int]:
    """Give the language that most of a text is in, and how many per cent of it are; None where it is not known.

    Raises:
        ConfigurationError: the extra `language` is not installed.
    """
    try:
        cld2: Any = importlib.import_module("pycld2")
    except ImportError as error:
        raise ConfigurationError("Language needs the extra: pip install 'flowledger[language]'") from error
    readable = text if text.replace("\n", " ").isprintable() else text.translate(_READABLE)
    try:
        _, _, found = cld2.detect(readable.encode("utf-8", "ignore"), bestEffort=True)
    except cld2.error:
        return None, 0
    code, share = str(found[0][1]), int(found[0][2])
    return (None if code == "un" else code.split("-", maxsplit=1)[0]), share
