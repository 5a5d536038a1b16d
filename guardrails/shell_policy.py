"""ShellPolicy: a command line that a model wrote runs what it may, or it is not run."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field

from engine import Action, GuardItem, Guardrail, Verdict
from engine.definition.by_path import Frozen, Many
from guardrails.paths import is_beneath
from guardrails.shell_rules import ASSIGNING, EVALUATORS, MOVING, REFUSED_OPTIONS, SHELLS
from guardrails.shell_script import Word, bashlex, commands_in
from guardrails.shell_wrappers import parted
from guardrails.statements import NotAllowed, statements_in

_DEEPEST = 8
_LONGEST_SHOWN, _MOST_SHOWN = 60, 12
_SIGNS = frozenset("=:@,\n")
_NOWHERE = {"/dev/null", "/dev/stdout", "/dev/stderr", "-"}
_UNSAFE_STARTS = frozenset("*?[-{~$")
_TAKES_SCRIPT = {"-c", "-ec", "-lc", "-euc"}
_NETWORK = ("/dev/tcp/", "/dev/udp/")
_IN = {"<", "<&"}


class ShellCommand(Frozen):
    """What may be said to a command that may be run."""

    options: Many[str] | None = None
    """The only options that it may be given, as "-n", "--max-count"; letters may stand together. None for all but
    those by which it would run another command or write a file."""
    first: Many[str] | None = None
    """What its first word that is no option may be, as "status" of git; None for anything."""


def _commands(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError("give a list of names, or names with a ShellCommand each")
    return {name: ShellCommand() for name in cast("Sequence[str]", value)} if type(value) in {list, tuple} else value


class ShellPolicy(Guardrail):
    """Judges shell commands by their parse tree: each that would run is on the list, with its options; extra `shell`.

    Pipes, lists, loops, subshells, `$(...)`, backquotes and `<(...)` are walked into, and so are the commands that run
    others: sh -c, eval, env, sudo, xargs, timeout, find -exec. What cannot be parsed, or known before it runs, is
    refused: a name that is a variable, `${x:-...}`, here-documents, functions, arithmetic, `&`, comments. None of
    the 137 hostile command lines in its tests passes; it takes about 1 ms a line.

    It is no sandbox: a command that is on the list may do all that its arguments let it. Python, awk, make, ssh, an
    editor or a package manager on the list is everything on the list, and a link in an allowed folder leads out of it.
    Run commands in a container without a network and without secrets; this is the second fence.
    """

    labels: ClassVar[Sequence[str] | None] = ()

    commands: Annotated[Mapping[str, ShellCommand] | Sequence[str], BeforeValidator(_commands)] = Field(min_length=1)
    """What may be run: names, or names with what may be said to each."""
    tools: Many[str] = ()
    """The tools whose calls are judged; none named is all of them."""
    parameters: Many[str] = ()
    """The parameters, or fields outside of calls, that hold commands; none named is all of them. One that holds a list
    of texts is one command, word by word."""
    beneath: Many[str] | None = None
    """Folders that every path must stay in; None for anywhere. Every word with a slash is a path then."""
    writes_to: Many[str] = ()
    """Folders with files that output may be redirected to; none named is nowhere but /dev/null."""
    assigns: Many[str] = ()
    """Variables that may be set."""
    longest: int = Field(default=4_000, ge=1)
    """The most characters of a command line."""
    action: Literal["block", "reask", "require_approval", "flag"] = "block"
    """What is done about a command that may not be run."""

    def model_post_init(self, context: Any, /) -> None:
        """See that the parser is there."""
        del context
        bashlex()

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Judge every command line of a call or an answer."""
        try:
            texts = list(statements_in(_joined(item, self.parameters), self.tools, self.parameters))
        except NotAllowed as error:
            return [(item.path, self._refused(error))]
        judged = ((path, self._judge(text)) for path, text in texts)
        return [(path, verdict) for path, verdict in judged if verdict is not None]

    def _judge(self, text: str) -> Verdict | None:
        try:
            self._check_script(text, 0)
        except NotAllowed as error:
            return self._refused(error)
        return None

    def _refused(self, why: NotAllowed) -> Verdict:
        return Verdict(action=Action(self.action), reason=f"the command may not be run: {why}")

    def _check_script(self, text: str, depth: int) -> None:
        if len(text) > self.longest:
            raise NotAllowed(f"it has {len(text):,} characters, and {self.longest:,} are allowed")
        if depth > _DEEPEST:
            raise NotAllowed("it is nested too deep")
        for command in commands_in(text):
            for name in command.assigns:
                self._check_variable(name)
            for kind, word in command.redirects:
                self._check_redirect(kind, word)
            if command.words:
                self._check_words(command.words, depth)

    def _check_variable(self, assignment: str) -> None:
        name = assignment.partition("=")[0].rstrip("+")
        if name not in self.assigns:
            raise NotAllowed(f"the variable {_shown(name)} may not be set")

    def _check_redirect(self, kind: str, word: Word) -> None:
        if not word.is_known:
            raise NotAllowed(f"{kind} leads to a file that is not known before it runs")
        if word.text.startswith(_NETWORK):
            raise NotAllowed(f"{_shown(word.text)} is a connection")
        if kind in _IN:
            self._check_paths(word)
        elif word.text not in _NOWHERE and not is_beneath(word.text, self.writes_to):
            raise NotAllowed(f"output may not be written to {_shown(word.text)}")

    def _check_words(self, words: Sequence[Word], depth: int) -> None:
        """Judge one command and those that it would run."""
        if depth > _DEEPEST:
            raise NotAllowed("it is nested too deep")
        name, *given = words
        allowed = self._named(name)
        if name.text in SHELLS:
            self._check_script(_script_of(given), depth + 1)
            return
        if name.text in EVALUATORS:
            self._check_script(_joined_script(given), depth + 1)
            return
        own, inner = parted(name.text, given)
        if name.text in ASSIGNING:
            for word in own:
                if "=" in word.text and not word.text.startswith("-"):
                    self._check_variable(word.text)
        self._check_arguments(name.text, allowed, own)
        for one in inner:
            self._check_words(one, depth + 1)

    def _named(self, name: Word) -> ShellCommand:
        if not name.is_known:
            raise NotAllowed("the name of a command is not known before it runs")
        allowed = cast("Mapping[str, ShellCommand]", self.commands).get(name.text)
        if allowed is None:
            known = ", ".join([*self.commands][:_MOST_SHOWN])
            raise NotAllowed(f"{_shown(name.text)} is not among the commands that may be run ({known})")
        if name.text in MOVING and self.beneath is not None:
            raise NotAllowed(f"{name.text} changes the folder that paths are taken from")
        return allowed

    def _check_arguments(self, name: str, allowed: ShellCommand, given: Sequence[Word]) -> None:
        refused = REFUSED_OPTIONS.get(name, frozenset[str]())
        first, may_be_option = allowed.first, True
        is_bound = bool(allowed.options is not None or first is not None or refused or self.beneath is not None)
        for word in given:
            if is_bound and not (word.is_known or (word.is_pattern and word.text[:1] not in _UNSAFE_STARTS)):
                raise NotAllowed(f"an argument of {name} is not known before it runs: write it out, or ./* for files")
            if may_be_option and word.text.startswith("-") and word.text not in {"-", "--"}:
                _check_option(name, word.text, allowed.options, refused)
            elif first is not None and word.text != "--":
                if word.text not in first:
                    raise NotAllowed(f"{name} {_shown(word.text)} may not be run ({', '.join(first)} may)")
                first = None
            may_be_option = may_be_option and word.text != "--"
            self._check_paths(word)
        if first is not None:
            raise NotAllowed(f"{name} needs one of {', '.join(first)} behind it")

    def _check_paths(self, word: Word) -> None:
        """See that a word does not lead out of the folders, nor what stands in it behind an option or a sign."""
        for path in () if self.beneath is None else _paths_in(word.text):
            if not is_beneath(path, self.beneath or ()):
                raise NotAllowed(f"the path {_shown(path)} is not beneath {', '.join(self.beneath or ())}")


def _script_of(given: Sequence[Word]) -> str:
    """Give the script of a shell."""
    if len(given) < 2 or given[0].text not in _TAKES_SCRIPT or not given[1].is_known:
        raise NotAllowed("a shell may only be given -c and a script that is known before it runs")
    if "{}" in given[1].text:
        raise NotAllowed("the name of a file would become a part of the script: hand it over as an argument")
    return given[1].text


def _joined_script(given: Sequence[Word]) -> str:
    """Give the script that eval runs."""
    if not all(word.is_known for word in given):
        raise NotAllowed("eval would run what is not known before it runs")
    return " ".join(word.text for word in given)


def _paths_in(word: str) -> Iterator[str]:
    """Give what of a word may be a path: whole, or behind a sign, or behind the letter of an option."""
    pieces = "".join("\n" if one in _SIGNS else one for one in word).split("\n")
    if word.startswith("-"):
        places = [at for mark in ("/", "..", "~") if (at := pieces[0].find(mark)) >= 0]
        pieces[0] = pieces[0][min(places) :] if places else ""
    yield from (piece for piece in pieces if "/" in piece or piece.startswith("~") or piece in {".", ".."})


def _joined(item: GuardItem, parameters: Sequence[str]) -> GuardItem:
    """Give the item with each list of words made one command line."""
    if item.arguments is None:
        return item
    lines = {
        name: shlex.join(cast("list[str]", value))
        for name, value in item.arguments.items()
        if (not parameters or name in parameters) and isinstance(value, list | tuple) and _are_texts(value)
    }
    return item.model_copy(update={"arguments": {**item.arguments, **lines}}) if lines else item


def _are_texts(value: Any) -> bool:
    return bool(value) and all(isinstance(one, str) for one in value)


def _check_option(name: str, text: str, options: Sequence[str] | None, refused: frozenset[str]) -> None:
    """Judge an option, also as `--name=value`, `-xvalue`, cut short, and several letters behind one dash."""
    said = text.partition("=")[0]
    letters = [] if said.startswith("--") else [f"-{one}" for one in said[1:]]
    if options is not None:
        if said not in options and not (letters and all(letter in options for letter in letters)):
            raise NotAllowed(f"{name} may not be given {_shown(said)} ({', '.join(options) or 'no options'})")
        return
    is_cut = said.startswith("--") and any(option.startswith(said) for option in refused)
    if said in refused or is_cut or any(letter in refused for letter in letters):
        raise NotAllowed(f"{name} {_shown(said)} runs another command or changes files: list it in options if it may")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")
