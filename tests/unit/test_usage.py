"""The command line as people meet it: one screen of help, errors with a cure, and a man page that says the same."""

import os
import pathlib
import re
import shlex
import sys
import types

import pytest
from conftest import TREE
from l2wg_hooks import cli
from l2wg_hooks.commands import pair, registry, usage
from l2wg_hooks.config import schema

MAN = (TREE / "docs/l2wg.8") if (TREE / "docs/l2wg.8").exists() else None


@pytest.fixture
def commands():
    return registry.parser()


def options(parser, hidden=False):
    """The long options of a command."""
    shown = [action for action in parser._actions if hidden or action.help is not usage.HIDDEN]
    return {word for action in shown for word in action.option_strings if word.startswith("--")} - {"--help"}


def test_every_command_has_one_group_and_one_handler(commands):
    assert len(registry.NAMES) == len(set(registry.NAMES))
    assert {command.GROUP for command in commands.commands.values()} == {*usage.GROUPS, usage.UNLISTED}
    files = {path.stem for path in pathlib.Path(registry.__file__).parent.glob("*.py")} - {"__init__", "registry", "usage", "options", "dialogue"}
    assert set(commands.commands) == files and set(cli.EVENTS) - {"event"} <= files
    # Whoever is not listed is named by another one's line.
    lines = " ".join(command.HELP for command in commands.commands.values())
    assert all(f"{name}:" in lines for name, command in commands.commands.items() if command.GROUP == usage.UNLISTED)
    assert all(callable(command.run) for command in commands.commands.values())


def test_the_help_fits_a_screen(commands, capsys):
    """With the prompt behind it. Reserved commands count, too: each takes a line."""
    for text in (commands.screen(),):
        assert len(text.splitlines()) <= 23
        assert max(len(line) for line in text.splitlines()) <= 80
    assert [line.split()[0] for line in commands.screen().splitlines()[1:3]] == [name for name in ("apply", "status")]
    for words in ([], ["--help"], ["-h"], ["help"]):
        try:
            code = cli.main(words)
        except SystemExit as end:
            code = end.code
        assert (code, capsys.readouterr().out) == (0, commands.screen())


def test_a_command_without_group_is_shown_nevertheless():
    assert "  frob      frobs\n" in usage.screen({"frob": types.SimpleNamespace(HELP="frobs", GROUP="none")})


def test_every_example_is_a_command_line(commands, capsys):
    for name in commands.commands:
        line = commands.commands[name].EXAMPLE
        assert commands.parse(shlex.split(line)[1:]).command == name
        with pytest.raises(SystemExit) as end:
            cli.main([name, "--help"])
        said = capsys.readouterr().out
        assert end.value.code == 0 and "example: " + line in said
        assert "==SUPPRESS==" not in said


@pytest.mark.parametrize(
    "words, said",
    [
        (["aply"], "l2wg: no such command: 'aply'\n  hint: do you mean `l2wg apply`?"),
        (["frobnicate"], "l2wg: no such command: 'frobnicate'\n  hint: l2wg --help"),
        (["x\x1b[31m\ud8ff"], "l2wg: no such command: 'x\\x1b[31m\\ud8ff'\n  hint: l2wg --help"),
        (["apply", "--comfirm"], "l2wg: apply does not take '--comfirm'\n  hint: do you mean --confirm?"),
        (["plan", "wg0"], "l2wg: plan does not take 'wg0'\n  hint: l2wg plan --help"),
        (["--loud"], "l2wg: l2wg does not take '--loud'\n  hint: l2wg --help"),
        (["--loud", "apply"], "l2wg: apply does not take '--loud'\n  hint: l2wg apply --help"),
        (["apply", "--confirm", "0"], "l2wg: apply: argument --confirm: expected a number of seconds from 5 to 86400, not '0'\n  hint: l2wg apply --help"),
        (["set", "gretap1"], "l2wg: set: the following arguments are required: KEY=VALUE\n  hint: l2wg set --help"),
        (["detach"], "l2wg: detach: name one WireGuard interface, or --all\n  hint: l2wg detach --help"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_cure(words, said, capsys, no_command):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err == said + "\n"


def test_words_on_both_sides_of_an_option_are_one_list(commands):
    options = commands.parse(["invite", "branch-d", "--yes", "vlans=10", "--confirm", "60", "mtu=1400"])
    assert options.name == "branch-d" and options.words == ["vlans=10", "mtu=1400"] and options.yes and options.confirm == 60
    assert commands.parse(["invite", "branch-d", "a=b", "--yes", "c=d"]).words == ["a=b", "c=d"]
    assert commands.parse(["pair", "L2WG1:A", "--yes", "B:0"]).card == ["L2WG1:A", "B:0"]


def test_help_runs_nothing(capsys, no_command):
    for words in (["-h", "apply"], ["apply", "-h"], ["help", "apply"], ["up", "--help"]):
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        assert end.value.code == 0
        assert capsys.readouterr().out


# The man page and the parser name the same.


def synopsis(text):
    """{command: its long options} of the section SYNOPSIS."""
    part = re.search(r"^\.Sh SYNOPSIS\n(.*?)^\.Sh", text, re.M | re.S).group(1)
    found = {}
    for block in part.split(".Nm\n")[1:]:
        name = re.match(r"\.Cm (\S+)", block)
        found[name.group(1) if name else ""] = words(block)
    return found


def words(block):
    return {"--" + word for word in re.findall(r"Fl Fl ([a-z0-9-]+)", block)}


def described(text):
    """{command: text} of the list in DESCRIPTION."""
    part = re.search(r"^\.Sh DESCRIPTION\n(.*?)^\.Sh", text, re.M | re.S).group(1)
    pieces = re.split(r"^\.It Cm (\S+).*\n", part, flags=re.M)[1:]
    return dict(zip(pieces[::2], pieces[1::2]))


@pytest.mark.skipif(MAN is None, reason="docs/l2wg.conf.5 is not beside the tests: an installed package")
def test_the_man_page_has_every_key_in_the_order_of_a_new_file():
    assert re.findall(r"^\.It Cm (\S+)$", MAN.with_name("l2wg.conf.5").read_text(), re.M) == list(schema.KEYS)


@pytest.mark.skipif(MAN is None, reason="docs/l2wg.8 is not beside the tests: an installed package")
def test_the_man_page_names_what_the_parser_has_and_nothing_else(commands):
    text = MAN.read_text()
    assert synopsis(text) == dict({name: options(commands[name]) for name in commands.commands}, **{"": {"--version"}})
    assert set(described(text)) == set(commands.commands)
    everything = {name: options(commands[name], hidden=True) for name in commands.commands}
    for name, block in described(text).items():
        assert everything[name] <= words(block), "%s: what its options do is not described" % name
    assert words(text) == set().union({"--version"}, *everything.values())


def nobody():
    """A pipe that nobody reads any more."""
    reads, writes = os.pipe()
    os.close(reads)
    return os.fdopen(writes, "w")


@pytest.mark.parametrize("opened, said", [(lambda: open("/dev/full", "w"), "l2wg: standard output: No space left on device\n"), (nobody, "")])
def test_who_does_not_take_what_is_printed_gets_no_traceback(opened, said, monkeypatch, capsys):
    out = opened()
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main([]) == 1 and capsys.readouterr().err == said
    assert sys.stdout is None, "Python would try again, and complain"
    with pytest.raises(OSError):
        out.close()


def test_a_paste_has_an_end(monkeypatch):
    """Of `l2wg pair </dev/zero`: no more than so much is taken, whatever the lines are."""

    class Endless:
        def __init__(self, line):
            self.line = line

        def readline(self, size):
            return self.line[:size] if self.line.endswith("\n") else self.line * size

    for line in ("x", "a line\n", "\0"):
        monkeypatch.setattr(sys, "stdin", Endless(line))
        assert len(pair._pasted(False)) == pair.PASTED


@pytest.mark.skipif(MAN is None, reason="docs/l2wg.8 is not beside the tests: an installed package")
def test_no_quotation_stands_in_another_one():
    """mdoc(7): a second Dq or Ql on a line is part of what the first one quotes."""
    quoted = re.compile(r"^\.(?!\\).*\b(?:Dq|Ql|Sq|Qq)\b.*\b(?:Dq|Ql|Sq|Qq)\b", re.M)
    assert quoted.search(".Pq Dq ok , Dq wrong")
    assert not quoted.findall(MAN.read_text()) + quoted.findall(MAN.with_name("l2wg.conf.5").read_text())


@pytest.mark.skipif(not (TREE / "Makefile").exists(), reason="the Makefile is not beside the tests: an installed package")
def test_make_lists_every_target():
    text = (TREE / "Makefile").read_text()
    listed = re.findall(r"^## make (\S+) ", text, re.M)
    assert listed and set(re.findall(r"^([a-z-]+):", text, re.M)) == set(listed)
