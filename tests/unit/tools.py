"""What each version of a tool printed, in each state: tests/golden/tools, as tests/lab/recorder.py recorded it in a lab machine.

iproute2 4.20 and nft 0.9.0 are those of Debian 10, 5.10 and 0.9.8 those of Debian 11; nft 1.1.3 is that of Debian 13.
Our rule sets and forms were listed anew on another kernel, without `meta ibrname`: `iifname` stood for that when they were loaded.
"""

import pathlib

from l2wg_hooks.system import process

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "tools"
IPROUTE2 = ("iproute2-4.20", "iproute2-5.10", "iproute2-6.1")
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
    monkeypatch.setattr(process, "run", lambda argv, stdin="", environment=(): answers[" ".join(argv)])
    return answers
