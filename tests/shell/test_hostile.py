"""Random hostile values: sh and Python agree on each, nothing is executed, and wg-quick hears of our two lines and of no other."""

import os
import random
import re
import subprocess
import sys

import pytest
from conftest import TOP
from test_config import ADDRESSES, NAMES, PORTS, PREFIXES, refuses, tunnel_name, wish

sys.path.insert(0, str(TOP / "tests/fuzz"))
from l2wg_hooks.config import schema, wg_quick

# Values of each question; more by the same variable as for tests/fuzz.
CASES = int(os.environ.get("CASES") or 100) * 10
SIGNS = list(";$`'\"\\(){}[]<>|&!~*?#=%^+-_.,:/@ \t\v\f\r\x01\x1b\x7f") + [
    "$(touch owned)",
    "`touch owned`",
    "%i",
    "%s",
    "\\n",
    "\\0",
    "\\c",
    "{{ 7*7 }}",
    "\u00e4",
    "\u00a0",
    "\u2028",
    "\u2003",
    "\u0663",
    "\uff11",
    "\udcff",
    "\udc80",
    "0",
    "1",
    "255",
    "256",
    "08",
    "9" * 30,
    "::",
    "fe80",
    "%eth0",
    "/24",
    "/129",
    "/032",
    "all",
    "default",
    "lo",
    "gre0",
    "..",
    "a" * 15,
    "A" * 65536,
]


def hostile(seeds, count, random):
    """Right values, with something put in, taken out, doubled or swapped; never two lines."""
    for _ in range(count):
        value = random.choice(seeds)
        for _ in range(random.randint(0, 3)):
            at, to = random.randint(0, len(value)), random.randint(0, len(value))
            value = random.choice([value[:at] + random.choice(SIGNS) + value[at:], value[:at] + value[to:], value[:at] + random.choice(seeds) + value[to:]])
        yield value[:70000]


# Every value on a line of its own, in one shell; the config script's own perl has twenty of them at a time, since it starts slowly.
EACH = """
cd "$1"
tunnel=gretap1 underlay=wg0 here=192.168.178.1 bridge=br0
set --
while IFS= read -r value; do
    set -- "$@" "$value"
    if [ $# = 20 ]; then
        judge %s "$@"
        set --
    fi
done <values
judge %s "$@"
"""
SEVERAL = ("main->can($word =~ tr/-/_/r)->(@words)", "map { refusal($word, $_) ? 'bad' : 'good' } @words")


def unlike(question, value):
    """Where the two may differ: what sh cannot see at once, and `l2wg set` tells of. See test_config.py."""
    return question == "bridge-address" and ":" in value


TABLES = [
    ("tunnel", NAMES, tunnel_name),
    ("underlay", NAMES, lambda value: refuses(wish(underlay=value))),
    ("bridge", NAMES, lambda value: refuses(wish(bridge=value))),
    ("local", ADDRESSES, lambda value: refuses(wish(local=value, remote="fd00::99" if ":" in value else "10.99.99.99"))),
    ("remote", ADDRESSES, lambda value: refuses(wish(remote=value))),
    ("ports", PORTS, lambda value: refuses(wish(bridge_ports=value))),
    ("bridge-address", PREFIXES, lambda value: refuses(wish(bridge_ports="enp3s0", bridge_address=value))),
]


@pytest.mark.parametrize("question, seeds, python", TABLES, ids=[table[0] for table in TABLES])
def test_sh_and_python_agree_on_hostile_values(router, question, seeds, python, record_property):
    values = list(hostile(seeds, CASES, random.Random(question)))
    # What debconf hands over has no white space around it; a `#` would end the value in a file, and `l2wg set` takes none.
    values = [value.strip(schema.SPACE) for value in values if "#" not in value and "\0" not in value]
    (router.path / "values").write_bytes("".join(value + "\n" for value in values).encode("utf-8", "surrogateescape"))
    before = sorted(path.name for path in router.path.iterdir())
    said = router.run(EACH % (question, question), str(router.path), changes=[SEVERAL]).split()
    assert len(said) == len(values)
    for value, word in zip(values, said):
        if question == "local" and value == "":
            continue  # no mistake there: it configures nothing
        wanted = python(value)
        if question == "ports" and len(value) > 4096:
            wanted = "bad"  # more than any bridge takes, and each is looked at by a process
        if word != wanted and not (unlike(question, value) and (word, wanted) == ("good", "bad")):
            raise AssertionError("%r: sh says %s, Python says %s" % (value[:200], word, wanted))
    assert sorted(path.name for path in router.path.iterdir()) == sorted(set(before) | {"config", "tools"})
    assert {"good", "bad"} == set(said)
    print("%s: %d values, %d of them right" % (question, len(values), said.count("good")))
    record_property("cases", len(values))


# parse_options of /usr/bin/wg-quick as it is, for one file after the other.
WG_QUICK = """
die() { echo "$*"; exit 1; }
cmd() { "$@"; }
%s
for file in "$1"/*.conf; do
    INTERFACE="" ADDRESSES=() MTU="" DNS=() DNS_SEARCH=() TABLE="" PRE_UP=() POST_UP=() PRE_DOWN=() POST_DOWN=() SAVE_CONFIG=0 CONFIG_FILE="" WG_CONFIG=""
    parse_options "$file"
    printf '%%s\\0' "$file" "${ADDRESSES[*]}|$MTU|${DNS[*]}|${DNS_SEARCH[*]}|$TABLE|${PRE_UP[*]}|${PRE_DOWN[*]}|$SAVE_CONFIG|$WG_CONFIG" \\
        "${POST_UP[@]}" -- "${POST_DOWN[@]}"
    printf '\\0\\n'
done
"""


def heard(folder):
    """{file: (what else, PostUp, PostDown)} as wg-quick(8) itself reads the files of a folder."""
    subprocess.run([TOP / "tests/need", "wireguard-tools"], check=True)
    script = open("/usr/bin/wg-quick").read()
    body = re.search(r"^parse_options\(\) \{\n.*?^\}\n", script, re.M | re.S).group(0)
    done = subprocess.run(
        ["bash", "-c", "shopt -s extglob\n" + WG_QUICK % body, "bash", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )
    found = {}
    for block in done.stdout.split(b"\0\0\n")[:-1]:
        name, rest, *hooks = block.split(b"\0")
        at = hooks.index(b"--") if b"--" in hooks else len(hooks)
        found[name.rpartition(b"/")[2]] = (rest, [line for line in hooks[:at] if line], [line for line in hooks[at + 1 :] if line])
    return found


def test_wg_quick_hears_of_our_two_lines_and_of_no_other(tmp_path):
    import hostile as strategies

    seeds = strategies.texts("lab/reference/*/wg0.conf", "golden/hostile/*.wg0.conf")
    rng = random.Random("wg-quick")
    count = max(40, CASES // 10)
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    attached = set()
    for number in range(count):
        text = rng.choice(seeds)
        for _ in range(rng.randint(0, 3)):
            at, to = rng.randint(0, len(text)), rng.randint(0, len(text))
            sign = rng.choice([sign for sign in SIGNS if len(sign) < 100] + ["\n", "\r\n", "\n[Interface]\n", "\n[Peer]\n", "\nPostUp = x\n"])
            text = rng.choice([text[:at] + sign + text[at:], text[:at] + text[at : at + 30] + text[at:], text[:at] + text[to:] if at < to else text])
        new = wg_quick.attach(text, "wg%d" % number)
        name = b"wg%d.conf" % number
        for folder, content in (("before", text), ("after", text if new is None else new)):
            (tmp_path / folder / name.decode()).write_bytes(content.encode("utf-8", "surrogateescape"))
        if new is not None and new != text:
            attached.add(name)
    before, after = heard(tmp_path / "before"), heard(tmp_path / "after")
    assert len(before) == len(after) == count and len(attached) > count // 4
    for name in before:
        # What is no option goes to wg(8) as text: our lines are none of it, but a line end may be where the file had none.
        assert before[name][0].rstrip(b"\r\n") == after[name][0].rstrip(b"\r\n"), name
        for index, ours in ((1, b"l2wg up %i || :"), (2, b"l2wg down %i || :")):
            extra = list(after[name][index])
            for line in before[name][index]:
                extra.remove(line)
            assert set(extra) <= {ours}, (name, extra)
            if name in attached:
                assert ours in after[name][index] or any(b"l2wg" in line for line in after[name][index]), name
    print("%d files, %d of them attached" % (count, len(attached)))
