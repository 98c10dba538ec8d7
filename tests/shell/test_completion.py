"""Completion by real shells at a terminal, of a router that is made up; and that it is what the parser says."""

import importlib.machinery
import importlib.util
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest
from conftest import TOP

sys.path.insert(0, str(TOP))
sys.path.insert(1, str(TOP / "tests/unit"))
import nets  # the tree must be found first
from l2wg_hooks.commands import registry, usage  # the tree must be found first
from l2wg_hooks.config import schema  # the tree must be found first

subprocess.run([TOP / "tests/need", "bash-completion", "zsh", "python3-jinja2"], check=True)
SETUP = {
    # bash-completion loads ours when it is asked for, as on a router.
    "bash": "PS1='> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; . /usr/share/bash-completion/bash_completion",
    "zsh": "PS1='> '; unsetopt beep; bindkey -e; fpath=({path}/completions $fpath); autoload -U compinit; compinit -u -d {path}/dump",
}
ARGV = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
SITES = "".join(
    (
        "# hq, 1, 2\nnet hub=hq\n",
        nets.line(0, "bridge=br0 # gone= is no word of a comment", name="branch-b1"),
        nets.line(1, "vlans=10 gone=2026-11-25", name="branch-c1"),
        # As a chat may write it, with a blank before it; one that is no card; one whose first bytes are none of a name.
        " " + nets.line(2, name="the-branch-in-the-old-town-halls").lower(),
        "L2WG1:TOOSHORT:00000000\n",
        f"L2WG1:{'7' * 60}:00000000\n",
        nets.line(3, name="z"),
    )
)
FILES = {"bash": "l2wg", "zsh": "_l2wg"}
PATIENCE = 30


def generated(shell):
    return subprocess.run([TOP / "completion/generate", shell], stdout=subprocess.PIPE, text=True, check=True).stdout


class Terminal:
    """A shell at a terminal, whose command l2wg prints its words."""

    def __init__(self, shell, path):
        for name in ("bin", "completions", "etc/l2wg", "etc/wireguard", "sys/class/net/br0/bridge", "sys/class/net/enp3s0", "sys/class/net/tun7"):
            (path / name).mkdir(parents=True)
        for name in ("gretap1", "office"):
            (path / "etc/l2wg" / f"{name}.conf").touch()
        (path / "etc/wireguard/wg0.conf").touch()
        (path / "etc/l2wg/sites").write_text(SITES)
        (path / "sys/class/net/tun7/uevent").write_text("DEVTYPE=wireguard\n")
        text = generated(shell)
        for place in ("/etc/l2wg/", "/etc/wireguard/", "/sys/class/net/"):
            text = re.sub(rf"(?<=[ (]){place}(?=\*|sites)", f"{path}{place}", text)
        (path / "completions" / FILES[shell]).write_text(text)
        command = path / "bin/l2wg"
        command.write_text('#!/bin/sh\necho "CALLED <$*>"\n')
        command.chmod(0o755)
        environment = {"PATH": f"{path}/bin:/usr/bin:/bin", "HOME": str(path), "TERM": "dumb", "BASH_COMPLETION_USER_DIR": str(path), "LC_ALL": "C.UTF-8"}
        self.out, inside = pty.openpty()
        self.shell = subprocess.Popen(ARGV[shell], stdin=inside, stdout=inside, stderr=inside, env=environment, cwd=path, start_new_session=True)
        os.close(inside)
        self.type(SETUP[shell].format(path=path) + "; echo rea''dy\n")
        self.until("ready\r?\n")

    def type(self, text):
        os.write(self.out, text.encode())

    def until(self, pattern):
        text, end = "", time.monotonic() + PATIENCE
        while True:
            found = re.search(pattern, text)
            if found:
                return found
            assert select.select([self.out], [], [], max(0, end - time.monotonic()))[0], f"no {pattern} in: {text}"
            text += os.read(self.out, 65536).decode(errors="replace")

    def completed(self, line, more=""):
        """The words with which l2wg is called after `line`, a TAB, `more` and ENTER."""
        self.type(line + "\t")
        time.sleep(0.3)  # a TAB in the same read as ENTER is no TAB for zsh
        self.type(more + "\n")
        return self.until("CALLED <(.*)>").group(1)

    def close(self):
        os.close(self.out)
        self.shell.kill()
        self.shell.wait()


@pytest.fixture(scope="module", params=["bash", "zsh"])
def terminal(request, tmp_path_factory):
    terminal = Terminal(request.param, tmp_path_factory.mktemp(request.param))
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.parametrize(
    "typed, called",
    [
        ("l2wg ap", "apply"),
        ("l2wg apply --y", "apply --yes"),
        ("l2wg rollback --un", "rollback --un"),  # our own units' option
        ("l2wg apply --confirm ", "apply --confirm"),
        ("l2wg sites --for the", "sites --for the-branch-in-the-old-town-halls"),
        ("l2wg sites --for z --as n", "sites --for z --as nix"),
        ("l2wg sites --for z --as nix --un", "sites --for z --as nix --underlay"),
        ("l2wg set gr", "set gretap1"),
        ("l2wg set gretap1 encap", "set gretap1 encapsulation="),
        ("l2wg set gretap1 encapsulation=v", "set gretap1 encapsulation=vxlan"),
        ("l2wg set gretap1 key=1 stp=y", "set gretap1 key=1 stp=yes"),
        ("l2wg set gretap1 bridge=b", "set gretap1 bridge=br0"),
        ("l2wg set gretap1 bridge-ports=e", "set gretap1 bridge-ports=enp3s0"),
        ("l2wg set gretap1 underlay=w", "set gretap1 underlay=wg0"),
        ("l2wg attach w", "attach wg0"),
        ("l2wg up --strict t", "up --strict tun7"),
        ("l2wg down off", "down office"),
        ("l2wg detach --a", "detach --all"),
        ("l2wg sites --j", "sites --json"),
        ("l2wg rev", "revoke"),
        ("l2wg rek", "rekey"),
        ("l2wg rekey --com", "rekey --commit"),
        ("l2wg revoke branch-b", "revoke branch-b1"),
        ("l2wg revoke the-br", "revoke the-branch-in-the-old-town-halls"),
        ("l2wg revoke branch-c", "revoke branch-c"),  # it is out
        ("l2wg revoke off", "revoke off"),  # a tunnel with a file of its own
        ("l2wg revoke --y", "revoke --yes"),
        ("l2wg status branch-b", "status branch-b1"),
        ("l2wg status off", "status office"),
        ("l2wg down branch-b", "down branch-b1"),
        ("l2wg down the-br", "down the-br"),
        ("l2wg set branch-b", "set branch-b"),
        ("l2wg unpair branch-b", "unpair branch-b"),
        ("l2wg unpair of", "unpair office"),
        ("l2wg inv", "invite"),
        ("l2wg invite branch-b vl", "invite branch-b vlans="),
        ("l2wg invite branch-b under", "invite branch-b under"),  # no word of a site's line
        ("l2wg invite branch-b dhcp=b", "invite branch-b dhcp=block"),
        ("l2wg invite branch-b mtu=9 isol", "invite branch-b mtu=9 isolated="),
        ("l2wg invite branch-", "invite branch-"),  # who is invited is not in yet
        ("l2wg join --bridge-p", "join --bridge-ports"),
        ("l2wg join L2WGJ1 --bridge-ports e", "join L2WGJ1 --bridge-ports enp3s0"),
        ("l2wg join L2WGJ1 --bridge b", "join L2WGJ1 --bridge br0"),
        ("l2wg join --underlay w", "join --underlay wg0"),
        ("l2wg join --mo", "join --move-address"),
        ("l2wg join L2WGJ1 --mo", "join L2WGJ1 --move-address"),
        ("l2wg join L2W", "join L2W"),
        ("l2wg pair CARD --bridge-ports e", "pair CARD --bridge-ports enp3s0"),
        ("l2wg plan x", "plan x"),
    ],
)
def test_a_tab(terminal, typed, called):
    assert terminal.completed(typed).rstrip() == called


def test_a_value_goes_on_behind_its_key(terminal):
    assert terminal.completed("l2wg set gretap1 encap", "gretap") == "set gretap1 encapsulation=gretap"


def test_what_zsh_would_read_as_its_own_is_escaped():
    loader = importlib.machinery.SourceFileLoader("generate", str(TOP / "completion/generate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("generate", loader))
    loader.exec_module(module)
    assert module.zsh("a [b]: c's \\") == r"a \[b\]\: c'\''s \\"


def test_both_name_all_that_the_parser_has():
    commands = registry.parser()
    for shell in FILES:
        text = generated(shell)
        for name in commands.commands:
            for action in commands[name]._actions:
                shown = action.help != usage.HIDDEN
                assert all(bool(re.search(rf"{word}\b", text)) == shown for word in action.option_strings), (shell, name, action)
            assert re.search(rf"\b{name}:?\)", text), (shell, name)
        assert all(key in text for key in schema.KEYS)


def test_shells_take_them(tmp_path):
    (tmp_path / "l2wg").write_text(generated("bash"))
    (tmp_path / "_l2wg").write_text(generated("zsh"))
    for argv in (["bash", "-n", "l2wg"], ["shellcheck", "-s", "bash", "l2wg"], ["zsh", "-n", "_l2wg"]):
        done = subprocess.run(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert (done.returncode, done.stdout) == (0, ""), argv
