"""Commands that run other commands, and the options by which ordinary ones do, as data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wrapper:
    """A command whose arguments are another command; options that are not listed here are refused."""

    with_value: frozenset[str] = frozenset()
    """Options with a value: the next word, or what stands behind the letter or the equals sign."""
    flags: frozenset[str] = frozenset()
    """Options without one."""
    words: int = 0
    """How many words of its own stand before the other command."""


def _options(text: str) -> frozenset[str]:
    return frozenset(text.split())


WRAPPERS = {
    "sudo": Wrapper(_options("-u --user -g --group -p --prompt"), _options("-n --non-interactive -E -H -S -k")),
    "doas": Wrapper(_options("-u"), _options("-n")),
    "env": Wrapper(_options("-u --unset -C --chdir"), _options("-i --ignore-environment -0 --null -v --debug")),
    "xargs": Wrapper(
        _options("-n --max-args -P --max-procs -I -L -d --delimiter -s --max-chars -a --arg-file -E"),
        _options("-0 --null -r --no-run-if-empty -t --verbose -x --exit"),
    ),
    "nice": Wrapper(_options("-n --adjustment")),
    "ionice": Wrapper(_options("-c --class -n --classdata"), _options("-t")),
    "nohup": Wrapper(),
    "setsid": Wrapper(flags=_options("-w --wait")),
    "timeout": Wrapper(
        _options("-k --kill-after -s --signal"), _options("-v --verbose --foreground --preserve-status"), words=1
    ),
    "stdbuf": Wrapper(_options("-i --input -o --output -e --error")),
    "command": Wrapper(flags=_options("-p")),
    "builtin": Wrapper(),
    "exec": Wrapper(_options("-a"), _options("-c -l")),
    "busybox": Wrapper(),
}
"""Commands that run the command behind them; that one is judged too."""

ASSIGNING = frozenset(["env", "sudo", "export", "declare", "typeset", "local", "readonly"])
"""Commands that set the variables that stand as NAME=value among their arguments."""

MOVING = frozenset(["cd", "pushd", "popd"])
"""Commands that change the folder that paths are taken from."""

SHELLS = frozenset(["sh", "bash", "dash", "zsh", "ksh", "ash"])
"""Shells: what stands behind -c is judged as a script, and anything else that they would run is refused."""

EVALUATORS = frozenset(["eval"])
"""Commands that run their arguments, joined, as a script."""

EXECUTING_OPTIONS = {
    "find": _options("-exec -execdir -ok -okdir"),
    "fd": _options("-x --exec -X --exec-batch"),
}
"""Options behind which a command stands that is judged too; it ends at `;` or `+`."""

REFUSED_OPTIONS = {
    "find": _options("-delete -fprint -fprint0 -fprintf -fls -files0-from"),
    "tar": _options(
        "--to-command --checkpoint-action -I --use-compress-program -F --info-script --new-volume-script --rsh-command"
    ),
    "git": _options(
        "-c --config-env --exec-path --upload-pack --receive-pack --ext-diff --open-files-in-pager -O --exec -x --template"
    ),
    "sort": _options("--compress-program -o --output -T"),
    "rsync": _options("-e --rsh --rsync-path"),
    "ssh": _options("-o -F -E -L -R -D"),
    "scp": _options("-o -F -S"),
    "zip": _options("-TT --unzip-command"),
    "man": _options("-P --pager -H --html"),
    "rg": _options("--pre --hostname-bin"),
    "split": _options("--filter"),
    "curl": _options("-K --config -o --output -O --remote-name -T --upload-file"),
    "wget": _options("-e --execute --use-askpass -i --input-file --post-file --body-file"),
    "sed": _options("-i --in-place -f --file"),
    "awk": _options("-f --file -i -l"),
    "date": _options("-s --set -f --file"),
    "printf": _options("-v"),
    "test": _options("-v"),
    "read": _options("-a"),
    "less": _options("-o -O --log-file -k --lesskey-file"),
    "pip": _options("-i --index-url --extra-index-url -r --requirement -t --target"),
    "npm": _options("--script-shell"),
    "docker": _options("-v --volume --privileged --mount"),
}
"""Options by which ordinary commands start others, write files or read their orders from one; refused until listed."""
