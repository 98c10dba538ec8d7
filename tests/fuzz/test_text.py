"""Files that people write: whatever is in them, it is understood or told of with file, line and cure, and kept to the byte."""

import re

import hostile
import pytest
from hostile import FIRM, RIGHT
from hypothesis import assume, given
from hypothesis import strategies as st
from l2wg_hooks.config import conflicts, edit, ifupdown, ifupdown_bridge, ifupdown_files, ifupdown_stanzas, references, schema, store, tunnel_file, wg_quick
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files

PATH = "/etc/l2wg/gretap1.conf"
CORPUS = hostile.corpus()
CONFS = hostile.texts("golden/settings/*.conf", "golden/hostile/*.conf")
WG = hostile.texts("lab/reference/*/wg0.conf", "golden/hostile/*wg0.conf")
ENI = hostile.texts("lab/reference/*/interfaces*", "golden/hostile/*.interfaces")
confs = st.one_of(hostile.mutated(CONFS), hostile.wish(), hostile.anything)
# Longer than any message has a reason to be; a value in it is cut at 60 characters.
MESSAGE_MAX = 400


def printable(problem):
    """What is shown of a Problem: a line for it and one for its cure."""
    lines = str(problem).split("\n")
    assert len(lines) == 2 and lines[1].startswith("  hint: ") and all(line.isprintable() and len(line) < 3000 for line in lines)


def sound(problem, text=None):
    """Whether a Problem can be printed on a terminal, and helps. Of a file's text it names file and line."""
    assert problem.message and problem.hint
    for part in (problem.message, problem.hint, problem.key, problem.path):
        assert part.isprintable() and len(part) <= MESSAGE_MAX, part
    if text is not None:
        assert problem.path
        if problem.line == 0:
            # Nothing stands there that could be pointed at.
            assert problem.key in schema.KEYS
            assert not re.search(r"(^|\n)[ \t\v\f\r]*%s[ \t\v\f\r]*=" % problem.key, text), problem
        assert 0 <= problem.line <= text.count("\n") + 1
    printable(problem)


# Odd, but right.
HARMLESS = ("many-ports.conf",)


def parsed(text):
    tunnel, problems = tunnel_file.parse(text, PATH, "gretap1")
    assert (tunnel is None) == bool(problems)
    for problem in problems:
        sound(problem, text)
    return tunnel


@given(confs)
def test_l2wg_conf_is_understood_or_told_of(text):
    parsed(text)


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_file_of_the_corpus_as_l2wg_conf(name):
    assert (parsed(CORPUS[name]) is not None) == (name in HARMLESS)


@given(hostile.junk)
def test_any_file_name_may_lie_in_our_directory(name):
    tunnel, problems = tunnel_file.parse("".join("%s = %s\n" % pair for pair in FIRM.items()), store.path(name), name)
    if tunnel is None:
        for problem in problems:
            printable(problem)
    else:
        assert schema.NAME.match(name)


@given(st.lists(hostile.wish(wrong=False), min_size=2, max_size=4))
def test_tunnels_that_contradict_each_other_are_told_of(texts):
    tunnels = [tunnel_file.parse(text, store.path("t%d" % number), "t%d" % number)[0] for number, text in enumerate(texts)]
    for problem in conflicts.between([tunnel for tunnel in tunnels if tunnel]):
        sound(problem)


FILE = "underlay = wg0\nlocal = 10.0.0.1\nremote = 10.0.0.2\nkey = %d\nbridge = br%d\nbridge-ports = %s\n"
crowds = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0, 0, 1, 2, 300, 511, 1020, 1021, 1022, 1023]), st.integers(0, 3)), max_size=8)


@given(crowds)
def test_no_bridge_gets_more_ports_than_it_takes(crowds):
    """Files of so many ports, some of which another one has, too."""
    tunnels = []
    for number, (bridge, count, first) in enumerate(crowds):
        ports = " ".join("b%dp%d" % (bridge, port) for port in range(first, first + count))
        tunnels.append(tunnel_file.parse(FILE % (number, bridge, ports), store.path("t%d" % number), "t%d" % number)[0])
    refused = {}
    for problem in conflicts.between(tunnels):
        sound(problem)
        refused[problem.path] = problem
    held = {tunnel.bridge: set() for tunnel in tunnels}
    for tunnel in tunnels:
        wanted = held[tunnel.bridge].union({tunnel.name}, tunnel.bridge_ports)
        assert (tunnel.path in refused) == (len(wanted) > conflicts.BRIDGE_PORTS)
        if tunnel.path not in refused:
            held[tunnel.bridge] = wanted


def others(text, key):
    """The lines that are not about `key`, without their ends."""
    found = []
    for line in tunnel_file.lines_of(text):
        try:
            if (tunnel_file.split(line) or [""])[0] != key:
                found.append(line)
        except schema.Refused:
            found.append(line)
    return found


@given(confs, st.sampled_from(sorted(schema.KEYS)), st.data())
def test_edit_changes_one_line_and_no_other(text, key, data):
    value = data.draw(RIGHT[key])
    once = tunnel_file.edit(text, {key: value})
    assert tunnel_file.edit(once, {key: value}) == once
    assert [line.partition("#")[2].strip("\r") for line in once.split("\n") if "#" in line] == [
        line.partition("#")[2].strip("\r") for line in text.split("\n") if "#" in line
    ]
    left, before = others(once, key), others(text, key)
    while len(left) > len(before) and left[-1] == "":
        left.pop()
    while len(before) > len(left) and before[-1] == "":  # the end of the file, where a line was added
        before.pop()
    # A bare CR at the very end of the file is no line end; behind a new one it is.
    assert [line.rstrip("\r") for line in left] == [line.rstrip("\r") for line in before]
    for line in tunnel_file.lines_of(once):
        try:
            found = tunnel_file.split(line)
        except schema.Refused:
            continue
        if found and found[0] == key:
            assert found[1] == value
            break
    else:
        assert value == ""


@given(hostile.wish(wrong=False), st.dictionaries(st.sampled_from(sorted(schema.KEYS)), st.none(), min_size=1, max_size=5), st.data())
def test_what_was_set_is_what_is_read(text, keys, data):
    changes = {key: data.draw(RIGHT[key]) for key in keys}
    new = tunnel_file.edit(text, changes)
    tunnel = tunnel_file.parse(new, PATH, "gretap1")[0]
    assume(tunnel is not None)
    for key, value in changes.items():
        field, parser = schema.KEYS[key].field, schema.KEYS[key].parse
        if value or key in tunnel.lines:
            assert getattr(tunnel, field) == parser(value)


@given(st.dictionaries(st.sampled_from(sorted(schema.KEYS)), st.none()), st.data())
def test_a_fresh_file_has_what_was_asked_for(keys, data):
    values = {key: data.draw(RIGHT[key]) for key in keys}
    values = dict(FIRM, **values)
    tunnel, problems = tunnel_file.parse(tunnel_file.fresh("gretap1", values), PATH, "gretap1")
    for problem in problems:
        sound(problem)
    if tunnel:
        assert all(getattr(tunnel, schema.KEYS[key].field) == schema.KEYS[key].parse(value) for key, value in values.items() if value)


LIST = st.lists(hostile.addresses, max_size=6)


@given(LIST, st.sampled_from([" ", ",", ", ", "\t", " ,"]), st.sampled_from(["", ",", " "]), st.sampled_from(["gretap", "vxlan"]))
def test_a_list_of_remotes_is_what_was_written_or_is_told_of(addresses, between, end, encapsulation):
    values = dict(FIRM, remote=between.join(addresses) + end, encapsulation=encapsulation)
    tunnel, problems = tunnel_file.parse("".join("%s = %s\n" % pair for pair in values.items()), PATH, "vx")
    for problem in problems:
        sound(problem)
    if tunnel is None:
        assert problems
        return
    assert list(tunnel.far_ends) == addresses and bool(tunnel.remotes) == (len(addresses) > 1 or "," in values["remote"])
    assert not tunnel.remotes or encapsulation == "vxlan"
    assert tunnel_file.parse(tunnel_file.of(tunnel), PATH, "vx") == (tunnel, ())


@pytest.fixture(scope="module")
def etc(tmp_path_factory):
    return tmp_path_factory.mktemp("l2wg")


@given(
    name=st.one_of(st.just("gretap1"), hostile.junk),
    key=st.one_of(st.sampled_from(sorted(schema.KEYS)), hostile.junk),
    value=st.one_of(hostile.junk, hostile.almost(st.sampled_from(sorted(FIRM.values())))),
    old=st.one_of(st.just(None), confs),
)
def test_l2wg_set_takes_no_value_that_is_none(etc, name, key, value, old):
    """`l2wg set`, as debconf calls it: the file is right afterwards, or it is as it was, to the byte."""
    directory, store.DIRECTORY = store.DIRECTORY, str(etc)
    mine = etc / "gretap1.conf"
    try:
        for path in etc.iterdir():
            path.unlink()
        if old is not None:
            files.write(str(mine), old)
        before = mine.read_bytes() if mine.exists() else None
        try:
            edit.change(name, dict(FIRM, **{key: value}))
        except L2wgError as error:
            for problem in error.problems:
                printable(problem)
            assert (mine.read_bytes() if mine.exists() else None) == before
            assert [path.name for path in etc.iterdir()] == ["gretap1.conf"] * (before is not None)
        else:
            for path in etc.iterdir():
                assert path.suffix == ".conf"
                if path.stem == name:
                    tunnel = tunnel_file.parse(files.read(str(path)), str(path), path.stem)[0]
                    assert tunnel is not None
                    field, parser = schema.KEYS[key].field, schema.KEYS[key].parse
                    assert not value.strip(schema.SPACE) or getattr(tunnel, field) == parser(value.strip(schema.SPACE))
                    there = tunnel_file.parse(old or "", "", "x")[0]
                    assert there or set(tunnel.lines) <= set(FIRM) | set(schema.ASKED) | {key} or old
                else:
                    assert path == mine and mine.read_bytes() == before
    finally:
        store.DIRECTORY = directory


@pytest.mark.parametrize("value", ["br0\nmtu = 600", "br0\r\nmtu = 600", "br0 # why", "br0\vmtu", "br0\u2028mtu = 600", "br0\0"])
def test_l2wg_set_takes_one_line(etc, value):
    directory, store.DIRECTORY = store.DIRECTORY, str(etc)
    try:
        for path in etc.glob("*.conf"):
            path.unlink()
        with pytest.raises(L2wgError) as error:
            edit.change("gretap1", dict(FIRM, bridge=value))
        assert error.value.problems[0].key == "bridge" and not list(etc.glob("*.conf"))
    finally:
        store.DIRECTORY = directory


# wg-quick's file

wgs = st.one_of(hostile.mutated(WG), hostile.anything)


def heard(text):
    """(section, key, value) of all that wg-quick(8) would hear: parse_options of wg-quick, written once more."""
    section, found = "", []
    for line in text.replace("\0", "").split("\n"):
        key, _, value = line.split("#", 1)[0].partition("=")
        key, value = (word.strip(" \t\n\v\f\r") for word in (key, value))
        if key.startswith("["):
            section = key.lower()
        if key:
            found.append((section, key, value))
    return found


@given(wgs)
def test_attach_adds_two_lines_and_detach_takes_them_out(text):
    attach_and_detach(text)


def attach_and_detach(text):
    new = wg_quick.attach(text, "wg0")
    bare = wg_quick.detach(text, "wg0")
    assert wg_quick.detach(bare, "wg0") == bare
    gone = heard(text)
    for row in heard(bare):
        gone.remove(row)
    assert all(row[0] == "[interface]" and row[1].lower() in ("postup", "postdown") and "l2wg" in row[2] for row in gone)
    if new is None:
        assert ("[interface]", "[Interface]") not in [(row[0], row[1]) for row in heard(text)]
        return
    assert wg_quick.attach(new, "wg0") == new
    if bare == text:
        assert wg_quick.detach(new, "wg0") == text
    else:
        assert wg_quick.detach(new, "wg0").rstrip("\r\n") == bare.rstrip("\r\n")
    extra = heard(new)
    for row in heard(text):
        extra.remove(row)
    assert all(row[:1] + row[2:] in (("[interface]", "l2wg up %i || :"), ("[interface]", "l2wg down %i || :")) for row in extra)
    assert [row for row in heard(new) if row not in extra] == [row for row in heard(text) if row not in extra]


@given(wgs, hostile.junk)
def test_attach_takes_any_text_and_name(text, name):
    new = wg_quick.attach(text, name)
    if new is not None:
        assert wg_quick.attach(new, name) == new
    for problem in wg_quick.warnings(text, "/etc/wireguard/wg0.conf", name, ("gretap1", "a.b")):
        sound(problem)
        assert problem.line > 0


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_file_of_the_corpus_as_wg0_conf(name):
    attach_and_detach(CORPUS[name])


@given(hostile.junk)
def test_no_file_but_one_in_etc_wireguard_is_meant(name):
    try:
        path = wg_quick.path(name)
    except L2wgError as error:
        assert error.problems[0].hint and error.problems[0].message.isprintable() and len(error.problems[0].message) < MESSAGE_MAX
    else:
        assert re.match(wg_quick.DIRECTORY + r"/[A-Za-z0-9_.-]{1,15}\.conf\Z", path)


# interfaces(5)

enis = st.one_of(hostile.mutated(ENI), hostile.anything)


@given(enis)
def test_interfaces_is_understood(text):
    understood(text)


def understood(text):
    stanzas, sources = ifupdown.parse(text, ifupdown.MAIN)
    for stanza in stanzas:
        assert stanza.interface and 0 < stanza.line <= text.count("\n") + 1 and stanza.path == ifupdown.MAIN
        stanza.addresses()
        ifupdown_stanzas.split(stanza.options, stanza.interface, "br0")
    assert all(word and pattern for word, pattern in sources)
    ifupdown_bridge.bridges_in(text)


@given(enis, st.sets(st.sampled_from(["enp2s0", "enp3s0", "br0", "wg0", "", "\u2028"]), max_size=3))
def test_what_is_set_aside_comes_back_to_the_byte(text, ports):
    assume(ifupdown_stanzas.MARK.strip() not in text)
    away = ifupdown_stanzas.set_aside(text, ports)
    assert ifupdown_stanzas.put_back(away, ports) == text
    # Nothing of theirs is left, and all of the others' is.
    there = ifupdown.parse(text, "x")[0]
    assert [stanza for stanza in ifupdown.parse(away, "x")[0]] == [stanza for stanza in there if stanza.interface not in ports]
    assert [stanza for stanza in ifupdown.parse(ifupdown_stanzas.aside(away), "x")[0]] == [stanza for stanza in there if stanza.interface in ports]


@given(enis, st.sampled_from(["enp2s0", "enp3s0"]))
def test_lines_that_look_set_aside_do_no_harm(text, port):
    no_harm(text, port)


def no_harm(text, port):
    for changed in (ifupdown_stanzas.put_back(text, [port]), ifupdown_stanzas.set_aside(text, [port]), ifupdown_stanzas.aside(text)):
        ifupdown.parse(changed, ifupdown.MAIN)
    assert ifupdown_stanzas.set_aside(ifupdown_stanzas.set_aside(text, [port]), [port]) == ifupdown_stanzas.set_aside(text, [port])


@given(st.lists(enis, min_size=1, max_size=3))
def test_files_that_source_anything_are_read(etc, texts):
    """Sources may name what is no file, this one, or what no path can be."""
    for number, text in enumerate(texts):
        # Not this machine's own tree: a pattern such as /*/*/* takes long, and proves nothing.
        text = re.sub(r"(?m)(source\S*[ \t\\\n]+)[/.*?]+", r"\1", text)[:20000]
        (etc / "i").mkdir(exist_ok=True)
        files.write(str(etc / "i" / ("f%d" % number)), "source f1 f2\n" + text)
    defined = ifupdown_files.read(str(etc / "i" / "f0"))
    assert str(etc / "i" / "f0") in defined.paths
    defined.reaches(ifupdown_bridge.OURS)
    defined.reaches("/etc/network/\0")


def test_files_that_lead_round_in_circles_are_read_once(etc):
    top = etc / "round"
    top.mkdir()
    (top / "d").symlink_to(".")
    files.write(str(top / "one"), "source-directory .\nsource-directory d\nsource d/d/one\niface br0 inet manual\n")
    defined = ifupdown_files.read(str(top / "one"))
    assert len(defined.stanzas) == len(defined.paths) == 1


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_file_of_the_corpus_as_interfaces(name, etc):
    understood(CORPUS[name])
    no_harm(CORPUS[name], "enp3s0")
    files.write(str(etc / "one"), CORPUS[name])
    ifupdown_files.read(str(etc / "one"))


@given(enis, hostile.wish(wrong=False))
def test_our_own_file_of_any_interfaces(text, wished):
    """Our file is read as it was meant: every line of it is of a bridge of ours, or of one of its ports."""
    tunnel = tunnel_file.parse(wished, PATH, "gretap1")[0]
    assume(tunnel is not None)
    stanzas, sources = ifupdown.parse(text, ifupdown.MAIN)
    defined = ifupdown.Defined(tuple(stanzas), (ifupdown.MAIN,), aside=tuple(stanzas))
    bridges = ifupdown_bridge.ours([tunnel], defined, tunnel.bridge_ports, text, {})
    made = ifupdown_bridge.render(bridges)
    assert {stanza.interface for stanza in ifupdown.parse(made, ifupdown_bridge.OURS)[0]} <= set(bridges) | set(tunnel.bridge_ports)
    assert not ifupdown.parse(made, ifupdown_bridge.OURS)[1]


@given(st.lists(hostile.mutated(CONFS + WG + ENI), min_size=1, max_size=2), st.one_of(hostile.names, st.just("enp3s0")))
def test_mentions_read_anything_under_etc(etc, texts, port):
    root, references.ROOT = references.ROOT, str(etc / "root")
    (etc / "root").mkdir(exist_ok=True)
    try:
        for number, text in enumerate(texts):
            files.write(str(etc / "root" / ("m%d" % number)), text[:30000])
        found = references.find({port: "br0"})
        for mention in found:
            problem = mention.problem()
            assert problem.line > 0 and problem.path
            printable(problem)
        references.dnsmasq(references.unserved(found))
    finally:
        references.ROOT = root
