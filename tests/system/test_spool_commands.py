"""What all commands of tradecloud-spool have in common: help, manual, completion, and trouble."""

import os
import pty
import re
import subprocess

import pytest
from consuming import wait_until
from operating import (CONFIGURATION, FORBIDDEN, MEMBER, OUTPUT, STRANGER, USAGE, look, put_odd_things)
from server import BUILD, TOP

COMMANDS = ["run", "list", "show", "retry", "reject", "prune", "status", "check", "follow"]
OURS = [command for command in COMMANDS if command != "run"]
ARGUMENTS = {"show": ["x"], "retry": ["--all"], "reject": ["x"], "prune": ["--older-than", "1d"]}
PROGRAM = str(BUILD / "tradecloud-spool")


def help_of(*command):
    done = subprocess.run([PROGRAM, *command, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def options_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


@pytest.fixture(scope="module")
def manual():
    """The manual's text, by section, subsections by themselves."""
    text = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=78", TOP / "cgi/tradecloud-spool.1"],
                          capture_output=True, text=True, check=True).stdout
    text = re.sub(r".\x08", "", text)
    parts = re.split(r"^ {0,3}(\S.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


# --- help and manual ---


def test_help():
    text = help_of()
    assert re.findall(r"^  ([a-z]+)  ", text, re.M) == COMMANDS
    for command in COMMANDS:
        own = help_of(command)
        assert own.startswith(f"Usage: tradecloud-spool {command} ")
        for line in (text + own).splitlines():
            assert len(line) <= 100, line


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_in_the_manual(manual, command):
    """Every option of --help, and no other, both in the command's part and in the synopsis."""
    options = options_in(help_of(command))
    assert options == {o for o in re.findall(r"^     (--[a-z-]+)", manual[command], re.M)}
    synopsis = re.split(r"^     tradecloud-spool ", manual["SYNOPSIS"], flags=re.M)
    [own] = [part for part in synopsis if re.match(rf"{command}\b", part)]
    assert options_in(own) <= options
    if command != "run":
        assert options_in(own) == options - {"--help"}


def test_exit_statuses_are_in_the_manual(manual):
    listed = set(map(int, re.findall(r"^     (\d+) ", manual["EXIT STATUS"], re.M)))
    assert listed >= {0, USAGE, 65, 66, OUTPUT, FORBIDDEN, CONFIGURATION}


@pytest.mark.parametrize("page", ["tradecloud-spool.1", "tradecloud-spool.5"])
def test_manual_is_clean(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", TOP / "cgi" / page],
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_version():
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and re.fullmatch(r"tradecloud-spool \d+\.\d+\.\d+\n", done.stdout)


# --- usage ---


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], [""], ["--nonsense"], ["-h"], ["list", "nowhere"], ["list", "tmp"],
    ["list", "new", "work"], ["list", "--json=x"], ["list", "-j"], ["show"], ["show", "--data"],
    ["retry"], ["retry", "x", "--all"], ["reject"], ["prune"], ["prune", "--older-than"],
    ["prune", "--older-than", "30"], ["prune", "--older-than", "-1d"],
    ["prune", "--older-than", "1d", "new"], ["prune", "--older-than", "1d", "work"],
    ["prune", "--older-than", "1d", "tmp"], ["prune", "--older-than", "1d", "done", "failed"],
    ["status", "x"], ["status", "--json", "--prometheus"], ["status", "--json", "--max-age", "1s"],
    ["status", "--max-age", "1"], ["status", "--max-age", "2s,1s"], ["status", "--max-age", ",1s"],
    ["status", "--max-age", "1s,"], ["status", "--max-failed", "x"],
    ["status", "--max-failed", "1,0"], ["status", "--max-failed", "99999999999999999999"],
    ["check", "x"], ["check", "--x"], ["status", "--x"], ["show", "--x"], ["retry", "--x"],
    ["reject", "--x"], ["status", "--max-age", "1s,x"], ["status", "--max-age", "1" * 30 + "s,1s"], ["follow", "x"], ["follow", "--bell\x1b[2J\n"],
], ids=repr)
def test_usage(operated, arguments):
    done = operated.call(*arguments)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.startswith("tradecloud-spool: ") and "Usage: tradecloud-spool" in done.stderr
    assert "\x1b" not in done.stderr


# --- trouble with the spool ---


@pytest.mark.parametrize("command", OURS)
def test_no_spool(operated, command):
    for path in ("/nonexistent/spool", "relative", "", str(operated.program),
                 f"{operated.path}/", "/nonexistent/\x1b[2J"):
        done = operated.call(command, *ARGUMENTS.get(command, []), TRADECLOUD_SPOOL=path)
        assert done.returncode == CONFIGURATION, (path, done)
        assert "\x1b" not in done.stdout + done.stderr
        assert len(done.stdout.splitlines() + done.stderr.splitlines()) == 1, done


@pytest.mark.parametrize("command", OURS)
def test_bad_configuration(operated, command):
    done = operated.call(command, *ARGUMENTS.get(command, []), TRADECLOUD_MIN_FREE="1 GB")
    assert done.returncode == CONFIGURATION
    assert "TRADECLOUD_MIN_FREE=1 GB" in done.stdout + done.stderr


@pytest.mark.parametrize("command", OURS)
def test_stranger(operated, command):
    """Who is not in the group sees and changes nothing."""
    name = operated.put(1, state="failed")
    operated.put(2)
    arguments = {"retry": [name], "reject": [name], "show": [name]}.get(command)
    before = operated.where()
    operated.path.chmod(0o2770)
    done = operated.call(command, *(arguments or ARGUMENTS.get(command, [])), user=STRANGER)
    assert done.returncode == CONFIGURATION and "Permission denied" in done.stdout + done.stderr
    assert operated.where() == before
    assert name not in done.stdout


@pytest.mark.parametrize("command", ["retry", "reject", "prune"])
def test_who_may_only_look(operated, command):
    """A member of a group that can read the spool but not write to it can change nothing, and is
    told so."""
    names = {"retry": [operated.put(1, state="failed")], "reject": [operated.put(2)],
             "prune": ["--older-than", "0s", "--force"]}
    operated.put(3, state="done")
    for directory in (operated.path, *operated.path.iterdir()):
        directory.chmod(0o2750)
    before = operated.where()
    done = operated.call(command, *names[command], user=MEMBER)
    assert done.returncode == FORBIDDEN and "group" in done.stderr, done
    assert operated.where() == before


# --- trouble with the output ---


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["show", "NAME"],
                                       ["show", "--data", "NAME"], ["status"], ["status", "--json"],
                                       ["status", "--prometheus"], ["status", "--max-age", "1d"],
                                       ["check"], ["check", "--json"], ["prune", "--older-than", "0s"],
                                       ["list", "--help"], ["--help"], ["--version"]], ids=" ".join)
def test_output_cannot_be_written(operated, arguments):
    name = operated.put(1)
    operated.put(2, state="done")
    operated.write("new", "foreign")
    arguments = [name if a == "NAME" else a for a in arguments]
    with open("/dev/full", "wb") as full:
        done = operated.call(*arguments, stdout=full)
    assert done.returncode == OUTPUT, done
    closed = operated.call(*arguments, prefix=["sh", "-c", 'exec "$@" >&-', "sh"])
    assert closed.returncode in (0, OUTPUT, CONFIGURATION), closed
    assert name in operated.entries("new") and len(operated.entries("done")) == 1


@pytest.mark.parametrize("command", ["list", "status", "check", "prune"])
def test_stopped(operated, command):
    """By SIGTERM, in the middle of it: the status is the manual's, and nothing has changed."""
    name = operated.put(1)
    done = operated.call(command, *ARGUMENTS.get(command, ()), prefix=[
        "strace", "-o", "/dev/null", "-e", "trace=getdents64",
        "-e", "inject=getdents64:signal=TERM:when=1"])
    assert done.returncode == 1, done
    assert "SIGTERM: stopped from outside" in done.stderr
    assert operated.entries("new") == [name]


def test_reader_goes_away(operated):
    """A pipe that is closed early ends the command; it is not killed by the signal."""
    operated.fill(1500, 3)
    with subprocess.Popen(operated.words("list"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=operated.environment()) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == OUTPUT
        assert b"cannot write standard output" in process.stderr.read()


# --- odd files and control characters ---


@pytest.mark.parametrize("command", ["list", "status", "check", "prune", "retry"])
@pytest.mark.parametrize("state", ["new", "failed", "done", "rejected"])
def test_odd_files_upset_nothing(operated, command, state):
    """They are left alone, whatever is done to the entries beside them; and no control character
    in a name or in contents comes out as it is."""
    put_odd_things(operated, state)
    good = operated.put(1, subject="\\u001b[2J\\u009b\\n\\t", state=state)
    before = set(operated.entries(state))
    arguments = {"list": [state], "retry": ["--all"], "prune": ["--older-than", "1d"]}
    for terminal in (False, True):
        if terminal:
            status, text = operated.look(command, *arguments.get(command, []))
            text = re.sub(r"\x1b\[[0-9;]*[mK]|\r", "", text)  # colours and the bar
        else:
            done = operated.call(command, *arguments.get(command, []))
            status, text = done.returncode, done.stdout + done.stderr
        assert status in (0, CONFIGURATION)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), text
    after = set(operated.entries(state))
    if (command, state) == ("retry", "failed"):
        # Names that an entry may have are moved, if they are files at all.
        assert good not in after
        assert all("odd" not in n or re.search("odd(empty|text|cut|unreadable)", n)
                   for n in before - after - {good})
    else:
        assert after == before


# --- completion ---


def complete(operated, line, before=""):
    """What bash offers for the last word of a line."""
    script = f'''
        source {TOP}/cgi/bash-completion/tradecloud-spool
        complete -p tradecloud-spool >/dev/null || exit 1
        COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _tradecloud_spool
        printf '%s\\n' "${{COMPREPLY[@]}}"
    '''
    environment = operated.environment(PATH=f"{operated.place}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True,
                          env=environment, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_of_commands(operated):
    assert complete(operated, "tradecloud-spool ''") == [*COMMANDS, "--help", "--version"]
    assert complete(operated, "tradecloud-spool re") == ["retry", "reject"]
    assert complete(operated, "tradecloud-spool x") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_completion_of_options(operated, command):
    offered = complete(operated, f"tradecloud-spool {command} --")
    assert set(offered) - {"--"} == options_in(help_of(command))


def test_completion_of_arguments(operated):
    names = {state: operated.put(i, state=state)
             for i, state in enumerate(["new", "work", "done", "failed", "rejected"])}
    operated.write("failed", "a $(touch hacked) b")
    assert complete(operated, "tradecloud-spool retry 2") == [names["failed"]]
    assert sorted(complete(operated, "tradecloud-spool reject 2")) == [names["new"], names["failed"]]
    assert sorted(complete(operated, "tradecloud-spool show 2")) == sorted(names.values())
    assert complete(operated, "tradecloud-spool list f") == ["failed"]
    assert complete(operated, "tradecloud-spool prune ''")[:3] == ["done", "failed", "rejected"]
    assert complete(operated, "tradecloud-spool prune --older-than ''") == []
    assert "/bin/sh" in complete(operated, "tradecloud-spool run --watch -- /bin/s")


def test_completion_in_bash_itself(operated):
    """Typed at a real prompt: a name in failed/ by its tab."""
    name = operated.put(7, state="failed")
    rc, line = operated.place / "rc", operated.place / "line"
    rc.write_text(f"source {TOP}/cgi/bash-completion/tradecloud-spool\nPS1='> '\n"
                  "bind 'set enable-bracketed-paste off'\n"
                  f"bind -x '\"\\C-o\": printf \"<%s>\" \"$READLINE_LINE\" >{line}'\n")
    pid, leader = pty.fork()
    if pid == 0:
        path = f"{operated.place}:{os.environ['PATH']}"
        os.execvpe("bash", ["bash", "--noprofile", "--rcfile", str(rc), "-i"],
                   operated.environment(PATH=path, TERM="dumb"))
    os.read(leader, 100)
    os.write(leader, b"tradecloud-spool retry 2\t\x0f")
    try:
        wait_until(lambda: line.exists() and line.read_text())
        assert line.read_text().strip("<>").split() == ["tradecloud-spool", "retry", name]
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(leader)


# --- terminals ---


def test_colours(operated):
    name = operated.put(1, state="failed")
    words = operated.words("list", "failed")
    environment = operated.environment(LC_ALL="C.UTF-8")
    assert "\x1b[" in look(words, {**environment, "TERM": "xterm"})[1]
    assert "\x1b[" in look(words, {**environment, "TERM": "xterm", "NO_COLOR": ""})[1]
    for variables in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}, {"TERM": ""}):
        status, text = look(words, {**environment, **variables})
        assert status == 0 and name in text and "\x1b" not in text, variables


def test_character_set(operated):
    """UTF-8 comes out only where it is understood; elsewhere some of its bytes are control
    characters."""
    operated.put(1, subject="één 注文")
    for locale, expected in (("C.UTF-8", "één 注文"), ("C", "\\xc3\\xa9\\xc3\\xa9n"),
                             ("nl_NL.ISO8859-1", "\\xc3\\xa9\\xc3\\xa9n")):
        text = look(operated.words("list"), operated.environment(TERM="xterm", LC_ALL=locale))[1]
        assert expected in text, locale
        assert expected.isascii() == text.isascii()
    # A file is read by programs, which can be told.
    assert operated.rows("list")[0][4] == "één 注文"
