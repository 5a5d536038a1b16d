"""Which command a command runs: what stands behind sudo, xargs or find -exec."""

from collections.abc import Sequence

from guardrails.shell_rules import EXECUTING_OPTIONS, WRAPPERS, Wrapper
from guardrails.shell_script import Word
from guardrails.statements import NotAllowed

Parted = tuple[Sequence[Word], Sequence[Sequence[Word]]]

_FROM_INPUT = Word("what it reads", is_known=False)


def parted(name: str, given: Sequence[Word]) -> Parted:
    """Part the arguments of a command into its own and the commands that it would run.

    Raises:
        NotAllowed: it would run one that nobody can tell.
    """
    if (marks := EXECUTING_OPTIONS.get(name)) is not None:
        return _behind_options(name, given, marks)
    if (wrapper := WRAPPERS.get(name)) is None:
        return given, ()
    at = _own_words(name, wrapper, given)
    own, inner = given[:at], given[at:]
    if name == "xargs":
        return own, [[*(inner or [Word("echo", is_known=True)]), _FROM_INPUT]]
    if not inner and name != "env":
        raise NotAllowed(f"{name} names no command")
    return own, [inner] if inner else ()


def _own_words(name: str, wrapper: Wrapper, given: Sequence[Word]) -> int:
    """Say how many words belong to the command itself."""
    at, words = 0, wrapper.words
    while at < len(given):
        word = given[at]
        if word.text == "--":
            return at + 1
        if word.text.startswith("-") and len(word.text) > 1:
            takes_next = _takes_next(name, wrapper, word)
            value = given[at + 1].text if takes_next and at + 1 < len(given) else word.text[2:]
            if name == "xargs" and word.text.startswith("-I") and value != "{}":
                raise NotAllowed("xargs -I may only be given {}")
            at += 1 + takes_next
        elif name in {"env", "sudo"} and "=" in word.text:
            at += 1
        elif words:
            at, words = at + 1, words - 1
        else:
            break
    return at


def _takes_next(name: str, wrapper: Wrapper, word: Word) -> bool:
    """Say whether the value of an option is the next word.

    Raises:
        NotAllowed: the option is not known, so that nobody can tell.
    """
    text = word.text
    said, is_joined, _ = text.partition("=") if text.startswith("--") else (text[:2], text[2:], "")
    if word.is_known and said in wrapper.with_value:
        return not is_joined
    letters = [text] if text.startswith("--") else [f"-{one}" for one in text[1:]]
    if word.is_known and wrapper.flags.issuperset(letters):
        return False
    raise NotAllowed(f"what {name} runs cannot be told behind the option {text[:30]!r}")


def _behind_options(name: str, given: Sequence[Word], marks: frozenset[str]) -> Parted:
    own: list[Word] = []
    inner: list[Sequence[Word]] = []
    at = 0
    while at < len(given):
        if given[at].text not in marks:
            own.append(given[at])
            at += 1
            continue
        end = next((n for n in range(at + 1, len(given)) if given[n].text in {";", "+"}), len(given))
        if end == at + 1:
            raise NotAllowed(f"{name} {given[at].text} names no command")
        inner.append(given[at + 1 : end])
        at = end + 1
    return own, inner
