"""A shell script as bash reads it: the simple commands in it, however deep they stand, and where they write."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from engine import ConfigurationError
from guardrails.statements import NotAllowed

_DEEPEST = 20
_KINDS = {"list", "pipeline", "compound", "if", "for", "while", "until"}
_OPERATORS = {";", "&&", "||", "|", "|&", "\n"}
_GLOB = frozenset("*?[")
_BETWEEN = frozenset(" \t\n;")
_REDIRECTS = {"<", ">", ">>", ">|", "&>", "&>>", ">&", "<&"}


@cache
def bashlex() -> Any:
    """Give the library.

    Raises:
        ConfigurationError: the extra `shell` is not installed.
    """
    try:
        return importlib.import_module("bashlex")
    except ImportError as error:
        raise ConfigurationError("ShellPolicy needs the extra: pip install 'flowledger[shell]'") from error


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command.

    Attributes:
        text: what the command gets, where that is known.
        is_known: whether it is, before the script runs: no variable, substitution or pattern is in it.
        is_pattern: whether it is known but for the files that it matches.
    """

    text: str
    is_known: bool
    is_pattern: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: its words, what it assigns, and what it is redirected to or from, with the operator."""

    words: tuple[Word, ...]
    assigns: tuple[str, ...] = ()
    redirects: tuple[tuple[str, Word], ...] = ()


def commands_in(text: str) -> list[Command]:
    """Give every simple command of a script, those in substitutions, loops and branches too.

    Raises:
        NotAllowed: it cannot be read, or holds a part that no policy can vouch for.
    """
    if any(not one.isprintable() and one not in "\t\n" for one in text):
        raise NotAllowed("it holds control characters or invisible ones")
    if "$'" in text or '$"' in text or "$(<" in text:
        raise NotAllowed("it holds quotes or a substitution that cannot be read safely ($'...', $\"...\", $(<...))")
    if not text.strip():
        raise NotAllowed("it holds no command")
    try:
        trees: Sequence[Any] = bashlex().parse(text)
    except NotImplementedError as error:
        raise NotAllowed("it holds a construct that is not judged (case, select, arithmetic, time)") from error
    except Exception as error:  # its parser raises whatever it stumbles over
        raise NotAllowed("it cannot be read") from error
    at = 0
    for tree in trees:
        if not _BETWEEN.issuperset(text[at : tree.pos[0]]):
            raise NotAllowed("it holds a comment or a part that cannot be read: leave it out")
        at = tree.pos[1]
    if not _BETWEEN.issuperset(text[at:]):
        raise NotAllowed("it holds a comment or a part that cannot be read: leave it out")
    try:
        return [command for tree in trees for command in _walk(tree, text, 0)]
    except (AttributeError, RecursionError, IndexError) as error:
        raise NotAllowed("it cannot be read") from error


def _walk(node: Any, text: str, depth: int) -> Iterator[Command]:
    """Give the commands in and beneath a node, and refuse whatever is of no known kind."""
    if depth > _DEEPEST:
        raise NotAllowed("it is nested too deep")
    if node.kind == "command":
        yield from _command(node, text, depth)
    elif node.kind in _KINDS:
        for inner in (*getattr(node, "list", ()), *getattr(node, "parts", ())):
            yield from _walk(inner, text, depth + 1)
        for redirect in getattr(node, "redirects", ()):
            kind, word, inside = _redirect(redirect, text, depth)
            yield from inside
            yield Command((), redirects=((kind, word),) if word else ())
    elif node.kind in {"word", "assignment"}:
        yield from _inside(node, text, depth)
    elif node.kind in {"operator", "pipe"}:
        sign = getattr(node, "op", None) or getattr(node, "pipe", None)
        if sign not in _OPERATORS:
            raise NotAllowed(f"it holds {sign!r}, which starts something that outlives the call")
    elif node.kind != "reservedword":
        raise NotAllowed(f"it holds a {node.kind}, which is not judged")


def _command(node: Any, text: str, depth: int) -> Iterator[Command]:
    words: list[Word] = []
    assigns: list[str] = []
    redirects: list[tuple[str, Word]] = []
    for part in node.parts:
        if part.kind == "word":
            words.append(_word(part, text))
            yield from _inside(part, text, depth)
        elif part.kind == "assignment":
            assigns.append(str(part.word).partition("=")[0].rstrip("+"))
            yield from _inside(part, text, depth)
        elif part.kind == "redirect":
            kind, word, inside = _redirect(part, text, depth)
            yield from inside
            redirects += [(kind, word)] if word else []
        else:
            yield from _walk(part, text, depth + 1)
    yield Command(tuple(words), tuple(assigns), tuple(redirects))


def _redirect(node: Any, text: str, depth: int) -> tuple[str, Word | None, list[Command]]:
    """Give the kind of a redirection and where it leads; None where that is only another of its streams."""
    kind, output = str(node.type), node.output
    if kind not in _REDIRECTS:
        raise NotAllowed(f"it holds {kind!r}, a redirection that is not judged")
    if isinstance(output, int):
        return kind, None, []
    return kind, _word(output, text), list(_inside(output, text, depth))


def _inside(node: Any, text: str, depth: int) -> Iterator[Command]:
    """Give the commands of the substitutions in a word; refuse expansions that can hide one."""
    for part in getattr(node, "parts", ()):
        if part.kind in {"commandsubstitution", "processsubstitution"}:
            yield from _walk(part.command, text, depth + 1)
        elif part.kind == "parameter":
            name = str(getattr(part, "value", ""))
            is_plain = name.isidentifier() or name.isdecimal() or name in {"?", "#", "@", "*", "$"}
            if not is_plain or text[slice(*part.pos)] not in {f"${name}", f"${{{name}}}"}:
                raise NotAllowed("it holds an expansion that can hide a command, as ${x:-$(y)}")
        elif part.kind != "tilde":
            raise NotAllowed(f"it holds a {part.kind}, which is not judged")
    rest = _unquoted(_without_parts(node, text))
    if "`" in rest or "$" in rest or "<(" in rest or ">(" in rest:
        raise NotAllowed("it holds an expansion that cannot be read safely")


def _word(node: Any, text: str) -> Word:
    word = str(node.word)
    if getattr(node, "parts", ()):
        return Word(word, is_known=False)
    bare = _unquoted(text[slice(*node.pos)])
    if "{" in bare and ("," in bare or ".." in bare):
        return Word(word, is_known=False)
    if _GLOB.intersection(bare):
        return Word(word, is_known=False, is_pattern=True)
    return Word(word, is_known=True)


def _without_parts(node: Any, text: str) -> str:
    """Give of a word as it is written what is no expansion that was read."""
    kept, at = "", node.pos[0]
    for part in sorted(node.parts, key=lambda part: part.pos[0]):
        if part.kind != "tilde":
            kept += text[at : part.pos[0]]
            at = max(at, part.pos[1])
    return kept + text[at : node.pos[1]]


def _unquoted(written: str) -> str:
    """Give of a word as it is written what may be expanded: single quotes and what is escaped left out.

    In double quotes only what begins with `$` or a backquote may be, so the rest of them is left out as well.
    """
    kept: list[str] = []
    quote, at = "", 0
    while at < len(written):
        one = written[at]
        if one == "\\" and quote != "'":
            at += 1
        elif one == quote:
            quote = ""
        elif not quote and one in "'\"":
            quote = one
        elif not quote or (quote == '"' and one in "$`"):
            kept.append(one)
        at += 1
    return "".join(kept)
