"""What each version of a tool printed, in each state: tests/golden/tools, as tests/lab/recorder.py recorded it in a lab machine.

iproute2 4.20 and nft 0.9.0 are those of Debian 10, 5.10 and 0.9.8 those of Debian 11; nft 1.1.3 is that of Debian 13.
Our rule sets and forms were listed anew on another kernel, without `meta ibrname`: `iifname` stood for that when they were loaded.
"""

import pathlib

from l2wg_hooks.system import process

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "tools"
IPROUTE2 = ("iproute2-4.20", "iproute2-5.10", "iproute2-6.1")
# What ip(8) prints of the kernel's first interface, which stands between two routing tables.
LO = """1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
"""
NFT = ("nft-0.9.0", "nft-0.9.0-json", "nft-0.9.8", "nft-1.0.6", "nft-1.1.3")


def recorded(version, state):
    """{command: process.Result} of a file."""
    found, command = {}, ""
    for line in (GOLDEN / version / state).read_text().split("\n"):
        mark, text = line[:2], line[2:]
        if mark == "$ ":
            command, found[text] = text, process.Result(0, "", "")
        elif line.startswith("code "):
            found[command] = found[command]._replace(code=int(line[5:]))
        elif mark == "| ":
            found[command] = found[command]._replace(out=found[command].out + text + "\n")
        elif mark == "! ":
            found[command] = found[command]._replace(err=found[command].err + text + "\n")
    return found


def play(monkeypatch, version, state):
    """Have process.run answer as that version did in that state; a command that was not recorded is an error."""
    answers = recorded(version, state)

    monkeypatch.setattr(process, "run", lambda argv, stdin="", environment=(): answer(answers, argv, stdin))
    return answers


def answer(answers, argv, stdin=""):
    """What was recorded of a command, or of the lines of a batch, of which it prints the same, one after the other."""
    if argv[-3:] != ("-force", "-batch", "-"):
        return answers[" ".join(argv)]
    return process.Result(0, batched(stdin, lambda line: answers[" ".join((*argv[:-3], line))].out), "")


def batched(stdin, said):
    """What `ip -batch` prints of these lines: of each what is `said`, but for the kernel's first interface."""
    return "".join(LO if line == "link show dev lo" else said(line) for line in stdin.splitlines())
