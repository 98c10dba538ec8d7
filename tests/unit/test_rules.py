"""The files that rules are loaded from, with nft(8) and ip(8) played by a dict."""

import json
import os
import sys

import pytest
from l2wg_hooks.apply import apply, preview
from l2wg_hooks.config import last_applied, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Link, Observed, Plan, Rules, Step, Tunnel
from l2wg_hooks.netfilter import nftables, nftables_state
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.plan.planner import GUARD, plan, removal
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.reconcile import events, reconcile, ruleset
from l2wg_hooks.system import files, network_namespace, process

TUNNEL = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")
OTHER = TUNNEL._replace(name="gretap2", remote="10.0.0.1", storm_limit=100)
LINKS = {
    "enp2s0": Link("enp2s0", 2, up=True, addresses=("192.168.178.1/24",)),
    "wg0": Link("wg0", 5, "wireguard", up=True, mtu=1420),
    "br0": Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:01"),
}
NFT = Step(("nft", "-f", "/run/l2wg.nft"), "test", GUARD)


def there(tunnel):
    return Link(
        tunnel.name, 9, "gretap", up=True, mac=tunnel.mac, master="br0", alias="l2wg",
        local=tunnel.local, remote=tunnel.remote, underlay="wg0", pmtudisc=False, ignore_df=True, ttl=64,
    )  # fmt: skip


def of(*tunnels, intact=True):
    """The Rules of these tunnels."""
    values = {tunnel.name: nftables.value(tunnel, LINKS) for tunnel in tunnels}
    return Rules([nftables.entry(tunnel) for tunnel in tunnels], values, intact)


@pytest.fixture
def nft(monkeypatch):
    """`tables` is what nft(8) lists, `ran` what ran; the words in `broken` are a command that fails.

    `after` is called with the tables after each load: somebody else's doing. Without `spaces` no namespace is to be had.
    `asked` are the rule sets that nft(8) was only asked about; it takes none with a word of `refuses`, neither then nor to load.
    """
    state = {"tables": {}, "ran": [], "broken": None, "writes": [], "after": lambda tables: None, "spaces": True, "asked": [], "refuses": []}

    def fake(argv, stdin=""):
        if argv[:2] == ("nft", "-c"):
            state["asked"].append(stdin)
            return process.Result(int(any(word in stdin for word in state["refuses"])), "", "x:1:1: Error: syntax error, unexpected string\n^^^\n")
        state["ran"] += ["ip " + line for line in stdin.splitlines()] or [" ".join(argv)]
        if state["broken"] and " ".join(argv).startswith(state["broken"]):
            return process.Result(1, "", "Error: Could not process rule: Operation not supported\n")
        if argv[:2] == ("nft", "-f"):
            text = read(nftables.FILE)
            loaded = text + (read(nftables.STATIC) if "include" in text else "")
            if any(word in loaded for word in state["refuses"]):
                return process.Result(1, "", "Error: syntax error, unexpected string\n")
            state["tables"] = {}
            if "include" in text:
                state["tables"] = dict(zip(nftables_state.FAMILIES, listed(loaded)))
            state["after"](state["tables"])
        if argv[:4] == ("nft", "-s", "list", "table"):
            assert argv[5:] == ("l2wg",)
            known = state["tables"].get(argv[4])
            return process.Result(0, known, "") if known else process.Result(1, "", "Error: No such file or directory\n")
        return process.Result(0, "", "")

    def alone(work):
        if not state["spaces"]:
            raise OSError(1, "Operation not permitted")
        kept = dict(state)
        state.update(tables={}, ran=[], after=lambda tables: None)
        try:
            return work()
        finally:
            state.update(kept)

    monkeypatch.setattr(network_namespace, "alone", alone)
    write = files.write
    monkeypatch.setattr(process, "run", fake)
    monkeypatch.setattr(files, "write", lambda path, text, *mode, **more: (state["writes"].append(path), write(path, text, *mode, **more)))
    return state


def listed(loaded):
    """Two listings, as nft(8) may make them of what it has loaded: as it stands, but for the includes and comments."""
    definitions, _, tables = loaded.partition("table inet l2wg {")
    for line in definitions.splitlines():
        if line.startswith("define "):
            tables = tables.replace("$" + line.split()[1], line.split()[3])
    inet, _, bridge = tables.partition("table bridge l2wg {")
    return "table inet l2wg {" + inet, "table bridge l2wg {" + bridge


def read(path):
    with open(path) as file:
        return file.read()


def test_what_nobody_needs_nobody_asks_for(nft):
    assert nftables_state.observe(needed=False) == Rules()
    assert nft["ran"] == []


WALLED = TUNNEL._replace(wire="own", underlay="l2w0")


def test_what_is_in_walls_has_no_guard_and_nobody_asks_for_one(nft):
    """Not even an empty one: each packet of the router would go by its chains."""
    text = nftables.render([nftables.entry(WALLED)])
    assert nftables.EMPTY in text and "table inet l2wg {" not in text and "table bridge l2wg {" in text
    assert "table inet l2wg {" in nftables.render([nftables.entry(WALLED), nftables.entry(OTHER)])
    for entries, asked in (([WALLED], ["bridge"]), ([WALLED, OTHER], ["inet", "bridge"]), ([OTHER], ["inet", "bridge"]), ([], ["inet", "bridge"])):
        nft["ran"].clear()
        nftables_state.listing([nftables.entry(tunnel) for tunnel in entries])
        assert nft["ran"] == [f"nft -s list table {family} l2wg" for family in asked]


@pytest.mark.parametrize("tables, intact", [({}, True), ({"inet": "somebody's"}, False), ({"bridge": "somebody's"}, False)])
def test_before_the_first_load(nft, tables, intact):
    nft["tables"] = tables
    assert nftables_state.observe(needed=True) == Rules(intact=intact)


@pytest.mark.parametrize("needed", [True, False])
def test_what_was_loaded_is_observed(nft, needed):
    assert ruleset.load(of(TUNNEL, OTHER), NFT) == ()
    assert nft["ran"] == ["nft -f /run/l2wg.nft", "nft -s list table inet l2wg", "nft -s list table bridge l2wg"]
    assert nftables_state.observe(needed) == of(TUNNEL, OTHER)


def body_of(text, entries):
    """The rules of the static file, behind the lines that say of which entries they are."""
    stamp = nftables_state.stamp(entries)
    assert text.startswith(stamp)
    return text[len(stamp) :].partition("\n")[2]


def test_what_is_loaded_is_what_the_files_say(nft):
    ruleset.load(of(TUNNEL, OTHER), NFT)
    wanted = of(TUNNEL, OTHER)
    assert read(nftables.FILE) == nftables.load(wanted.entries, wanted.values)
    assert body_of(read(nftables.STATIC), wanted.entries) == nftables.render(wanted.entries)
    assert os.stat(os.path.dirname(nftables.STATIC)).st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "change",
    [
        lambda tables: tables.clear(),
        lambda tables: tables.pop("inet"),
        lambda tables: tables.pop("bridge"),
        lambda tables: tables.update(inet=tables["inet"].replace(" drop", "")),
        lambda tables: tables.update(bridge=tables["bridge"].replace("1342", "1460")),
        lambda tables: tables.update(inet=tables["inet"].replace("elements = { 192.168.178.1 . 192.168.92.1 }", "")),
        lambda tables: tables.update(inet=tables["inet"].replace('192.168.92.1 : "forged_1"', '192.168.92.9 : "forged_1"')),
        lambda tables: tables.update(bridge=tables["bridge"].replace("fe:ff:", "fe:00:")),
    ],
)
def test_what_somebody_takes_away_is_noticed(nft, change):
    ruleset.load(of(TUNNEL), NFT)
    change(nft["tables"])
    assert nftables_state.observe(needed=True) == of(TUNNEL, intact=False)


# What was meant is the baseline, never what was found.


def emptied(tables):
    tables.clear()


def chain_flushed(tables):
    head, chain, rest = tables["inet"].partition("chain from_outside {\n")
    lines = rest.splitlines(True)
    end = lines.index("\t}\n")
    tables["inet"] = head + chain + "".join(lines[:1] + lines[end:])


def rule_added(tables):
    tables["inet"] = tables["inet"].replace("policy accept;\n", "policy accept;\n\t\taccept\n", 1)


def rule_changed(tables):
    tables["inet"] = tables["inet"].replace(" drop\n", " accept\n", 1)


def element_taken(tables):
    tables["inet"] = tables["inet"].replace("elements = { 192.168.178.1 . 192.168.92.1 }\n", "", 1)


CHANGES = [emptied, chain_flushed, rule_added, element_taken, lambda tables: tables.pop("bridge")]


# Where no namespace is to be had, rules are counted, not read.
@pytest.mark.parametrize("change, spaces", [(change, spaces) for change in CHANGES for spaces in (True, False)] + [(rule_changed, True)])
def test_what_somebody_changes_between_loading_and_listing_is_loaded_again(nft, change, spaces):
    """A firewall's script in PostUp or if-up.d that flushes beside us."""
    times = []

    def once(tables):
        times.append(dict(tables))
        if len(times) < 3:
            change(tables)

    nft.update(after=once, spaces=spaces)
    assert ruleset.load(of(TUNNEL), NFT) == ()
    assert len(times) == 3
    assert nftables_state.observe(needed=True) == of(TUNNEL)


@pytest.mark.parametrize("spaces", [True, False])
def test_what_somebody_keeps_changing_is_not_in_force(nft, spaces):
    nft.update(after=emptied, spaces=spaces)
    (problem,) = ruleset.load(of(TUNNEL), NFT)
    assert str(problem).startswith("the tables l2wg were loaded 3 times, and each time something else had changed them at once")
    assert "hint: find out what it is: nft monitor" in str(problem)
    assert nftables_state.observe(needed=True).entries == []


@pytest.mark.parametrize("old", [Rules(), of(TUNNEL)])
def test_a_guard_that_is_flushed_while_it_is_loaded_takes_its_tunnels_along(nft, old):
    """Also one that was in force before: nothing is left of that."""
    other = TUNNEL._replace(storm_limit=7)
    assert carry_out(nft, [TUNNEL], with_tunnels(TUNNEL), old) == () if old.entries else True
    nft["after"] = emptied
    assert len(reconcile.execute(plan([other], with_tunnels(TUNNEL), seen=Observed(old)), with_tunnels(TUNNEL))) == 1
    assert did(nft)[-1] == "ip link delete dev gretap1"


@pytest.mark.parametrize("tables", [{}, {"inet": ""}])
def test_an_empty_listing_is_no_baseline(nft, tables):
    """Whatever a file of state says."""
    ruleset.load(of(TUNNEL), NFT)
    note = json.loads(read(nftables_state.LOADED))
    nft["tables"] = tables
    for key in ("meant", "listing"):
        with open(nftables_state.LOADED, "w") as file:
            json.dump(dict(note, **{key: ""}), file)
        assert not nftables_state.observe(needed=True).intact


def test_the_rules_of_another_version_are_not_those_of_this_one(nft, tmp_path, monkeypatch):
    """An upgrade that mends the guard is in force with the next event, not with the next boot."""
    ruleset.load(of(TUNNEL), NFT)
    assert nftables_state.observe(needed=True).intact
    template = tmp_path / "rules.j2"
    template.write_text(read(nftables_state.TEMPLATE) + "\n")
    monkeypatch.setattr(nftables_state, "TEMPLATE", str(template))
    assert nftables_state.observe(needed=True) == of(TUNNEL, intact=False)


@pytest.mark.parametrize("name", ["nftables.py", "rule_groups.py", "gretap.py", "vxlan.py"])
def test_nor_are_those_that_other_code_has_made(nft, tmp_path, monkeypatch, name):
    ruleset.load(of(TUNNEL), NFT)
    assert nftables_state.observe(needed=True).intact
    (path,) = [path for path in nftables_state.FILLERS if os.path.basename(path) == name]
    code = tmp_path / name
    code.write_text(read(path) + "\n")
    monkeypatch.setattr(nftables_state, "FILLERS", tuple(str(code) if filler == path else filler for filler in nftables_state.FILLERS))
    assert nftables_state.observe(needed=True) == of(TUNNEL, intact=False)


def test_what_an_older_version_has_noted_is_read(nft):
    """Its tunnels keep their rules where their files are broken."""
    ruleset.load(of(TUNNEL), NFT)
    note = json.loads(read(nftables_state.LOADED))
    for entry in note["entries"]:
        del entry["port"]
    with open(nftables_state.LOADED, "w") as file:
        json.dump({"entries": note["entries"], "values": note["values"], "listing": "whatever"}, file)
    assert nftables_state.observe(needed=True) == of(TUNNEL, intact=False)


def test_stations_that_come_and_go_are_no_change(nft):
    ruleset.load(of(OTHER), NFT)
    # Newer nft(8) tells their count, too.
    elements = " # count 2\n\t\telements = { 02:00:00:00:00:01 expires 4m59s,\n\t\t\t     02:00:00:00:00:02 expires 3s }"
    nft["tables"]["bridge"] = nft["tables"]["bridge"].replace("timeout 300s", "timeout 300s" + elements)
    assert elements in nft["tables"]["bridge"]
    assert nftables_state.observe(needed=True).intact


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "7", "{}", '{"entries": [], "values": {}}', "\x00"])
@pytest.mark.parametrize("loaded", [True, False])
def test_a_note_that_cannot_be_read_counts_as_a_change(nft, text, loaded):
    if loaded:
        ruleset.load(of(TUNNEL), NFT)
    with open(nftables_state.LOADED, "w") as file:
        file.write(text)
    assert nftables_state.observe(needed=False) == Rules(intact=False)


def test_without_nft_nothing_is_intact(nft, monkeypatch):
    def missing(argv):
        raise L2wgError(Problem("the command nft is not there"))

    ruleset.load(of(TUNNEL), NFT)
    monkeypatch.setattr(process, "run", missing)
    assert nftables_state.observe(needed=True) == of(TUNNEL, intact=False)
    os.unlink(nftables_state.LOADED)
    assert nftables_state.observe(needed=True) == Rules(intact=False)


def test_of_nothing_nothing_is_kept(nft):
    ruleset.load(of(TUNNEL), NFT)
    assert ruleset.load(Rules(), NFT) == ()
    assert nft["tables"] == {}
    assert [os.path.exists(path) for path in (nftables_state.LOADED, nftables.FILE)] == [False, False]
    assert nftables_state.observe(needed=True) == Rules()


def test_what_takes_all_away_is_loaded_from_a_file_without_include(nft, monkeypatch):
    monkeypatch.setattr(files, "remove", lambda path: None)
    ruleset.load(Rules(), NFT)
    assert read(nftables.FILE) == nftables.EMPTY
    assert not os.path.exists(nftables.STATIC)


def test_what_cannot_be_loaded_is_told_of_and_not_noted(nft):
    ruleset.load(of(TUNNEL), NFT)
    nft["broken"] = "nft -f"
    (problem,) = ruleset.load(of(OTHER), NFT)
    assert "`nft -f /run/l2wg.nft` failed: Error: Could not process rule" in str(problem)
    assert "hint: no tunnel is made without its guard" in str(problem)
    assert nftables_state.observe(needed=True) == of(TUNNEL)


def test_a_file_that_cannot_be_written_is_told_of(nft, monkeypatch):
    monkeypatch.setattr(nftables, "FILE", "/nonexistent/l2wg.nft")
    (problem,) = ruleset.load(of(TUNNEL), NFT)
    assert "/nonexistent/l2wg.nft: cannot be written" in str(problem)
    assert nft["ran"] == []


# The static file: rendered once, then found.


def test_a_static_file_that_is_right_is_not_written_and_jinja2_not_imported(nft, monkeypatch):
    ruleset.store(of(TUNNEL).entries)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    ruleset.store(of(TUNNEL).entries)
    assert ruleset.load(of(TUNNEL), NFT) == ()
    assert nft["writes"].count(nftables.STATIC) == 1
    with pytest.raises(L2wgError) as error:
        ruleset.store(of(OTHER).entries)
    assert "python3-jinja2 is not installed" in str(error.value)


def test_a_static_file_is_written_anew_for_other_entries(nft):
    for tunnels in ((TUNNEL,), (OTHER,), (OTHER, TUNNEL), (TUNNEL, OTHER)):
        ruleset.store(of(*tunnels).entries)
        assert body_of(read(nftables.STATIC), of(*tunnels).entries) == nftables.render(of(*tunnels).entries)
    assert nft["writes"] == [nftables.STATIC] * 4


def test_a_static_file_is_written_anew_for_another_template(nft, tmp_path, monkeypatch):
    ruleset.store(of(TUNNEL).entries)
    old = read(nftables.STATIC)
    template = tmp_path / "rules.j2"
    template.write_text(read(nftables_state.TEMPLATE) + "\n")
    monkeypatch.setattr(nftables_state, "TEMPLATE", str(template))
    ruleset.store(of(TUNNEL).entries)
    assert read(nftables.STATIC) != old


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(" counter drop", "", 1),
        lambda text: text.rstrip("\n")[:-1],  # half written
        lambda text: text.partition("\n")[2],
        lambda text: text.partition("\n")[0],
        lambda text: text + "\udcff",
        lambda text: "",
    ],
)
def test_a_static_file_that_somebody_has_changed_is_written_anew(nft, spoil):
    ruleset.store(of(TUNNEL).entries)
    right = read(nftables.STATIC)
    with open(nftables.STATIC, "w", errors="surrogateescape") as file:
        file.write(spoil(right))
    ruleset.store(of(TUNNEL).entries)
    assert read(nftables.STATIC) == right


@pytest.mark.parametrize("tunnels", [(TUNNEL, OTHER), ()])
def test_apply_renders_what_events_will_load(nft, monkeypatch, tunnels):
    intent = preview.Intent(tunnels, {}, {}, (), (), Plan(), (), True)
    monkeypatch.setattr(preview, "intend", lambda wished_too=None: intent)
    monkeypatch.setattr(last_applied, "read", store.texts)
    monkeypatch.setattr(reconcile, "reconcile", lambda meet=None, **_: ())
    assert apply.apply() == ()
    assert nft["writes"] == ([nftables.STATIC] if tunnels else [])
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert not tunnels or ruleset.load(of(*tunnels), NFT) == ()


# Without a guard no tunnel is made, nor stays.


def carry_out(nft, tunnels, links, old):
    """With the Rules `old` in force, if these are intact."""
    if old.entries and old.intact:
        broken, nft["broken"] = nft["broken"], None
        assert ruleset.load(old, NFT) == ()
        nft.update(broken=broken, ran=[])
    return reconcile.execute(plan(tunnels, links, seen=Observed(old)), links)


def did(nft):
    return [line.replace(nftables.FILE, "FILE") for line in nft["ran"] if not line.startswith("nft -s list")]


def with_tunnels(*tunnels):
    return dict(LINKS, **{tunnel.name: there(tunnel) for tunnel in tunnels})


def test_the_guard_comes_before_the_tunnel(nft):
    assert carry_out(nft, [TUNNEL], LINKS, Rules()) == ()
    assert did(nft)[0] == "nft -f FILE" and did(nft)[1].startswith("ip link add name gretap1 ")


def test_without_guard_no_tunnel_is_made(nft):
    nft["broken"] = "nft -f"
    (problem,) = carry_out(nft, [TUNNEL], LINKS, Rules())
    assert "nft -f" in str(problem)
    assert did(nft) == ["nft -f FILE"]


@pytest.mark.parametrize("old", [Rules(), of(TUNNEL, intact=False), Rules(intact=False)])
@pytest.mark.parametrize("alias", ["l2wg", ""])
def test_without_guard_no_tunnel_stays(nft, old, alias):
    nft["broken"] = "nft -f"
    links = dict(LINKS, gretap1=there(TUNNEL)._replace(alias=alias))
    assert len(carry_out(nft, [TUNNEL], links, old)) == 1
    assert did(nft)[1:] == ["ip link delete dev gretap1"]


def test_a_tunnel_whose_old_guard_is_intact_stays_and_no_other_is_made(nft):
    nft["broken"] = "nft -f"
    assert len(carry_out(nft, [TUNNEL, OTHER], with_tunnels(TUNNEL), of(TUNNEL))) == 1
    assert did(nft) == ["nft -f FILE"]


def test_a_tunnel_that_the_old_guard_does_not_know_goes(nft):
    nft["broken"] = "nft -f"
    assert len(carry_out(nft, [TUNNEL, OTHER], with_tunnels(TUNNEL, OTHER), of(TUNNEL))) == 1
    assert did(nft) == ["nft -f FILE", "ip link delete dev gretap2"]


def test_what_must_not_be_goes_even_without_a_guard(nft):
    nft["broken"] = "nft -f"
    moved = TUNNEL._replace(remote="10.9.9.9")
    carry_out(nft, [moved], with_tunnels(TUNNEL), of(TUNNEL))
    assert did(nft) == ["ip link delete dev gretap1", "nft -f FILE"]


def test_rules_that_do_not_go_keep_nothing_else(nft):
    """`l2wg down --all` without nft: the policy routes and the iptables chain go all the same."""
    nft["broken"] = "nft -f"
    found = Observed(of(TUNNEL))
    todo = removal([], with_tunnels(TUNNEL), found)
    last = Step(("ip", "rule", "del"), "test", "ways")
    (problem,) = reconcile.execute(todo._replace(steps=todo.steps + (last,)), with_tunnels(TUNNEL))
    assert "nft -f" in str(problem)
    assert did(nft) == ["ip link delete dev gretap1", "nft -f FILE", "ip rule del"]


def test_rules_in_force_cost_no_load(nft):
    links = dict(with_tunnels(TUNNEL), gretap1=there(TUNNEL)._replace(mtu=1400))
    assert carry_out(nft, [TUNNEL], links, of(TUNNEL)) == ()
    assert did(nft) == ["ip link set dev gretap1 mtu 1500"]


def test_a_flush_is_mended_by_the_next_event(nft, etc, monkeypatch):
    (etc / "gretap1.conf").write_text("underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\n")
    monkeypatch.setattr(link_table, "read", lambda: with_tunnels(TUNNEL))
    probes = []
    monkeypatch.setattr(loop_probe, "send", lambda tunnels, links: probes.append(links))
    for _ in range(2):
        assert events.up("wg0") == ()
        loads = [line for line in nft["ran"] if line.startswith("nft -f")]
    assert len(loads) == 1
    nft["tables"].clear()
    assert events.up("wg0") == ()
    assert nft["tables"] and len(probes) == 3


# What an event looks at besides.


def test_who_wishes_for_a_tunnel_looks_for_tables_of_that_name(nft):
    nft["tables"] = {"inet": "table inet l2wg { somebody's }"}
    assert snapshot.look([TUNNEL], {}) == Observed(Rules(intact=False))
    assert snapshot.look([], {}) == Observed()


@pytest.mark.parametrize("clamp, looked", [("iptables", True), ("nftables", False), ("off", False)])
def test_iptables_is_looked_at_while_a_tunnel_wants_it_or_did(nft, clamp, looked):
    wished = TUNNEL._replace(mss_clamp=clamp)
    assert (snapshot.look([wished], {}).iptables is not None) == looked
    ruleset.load(of(wished), NFT)
    assert (snapshot.look([], {}).iptables is not None) == looked
    assert ("iptables-save -t mangle" in nft["ran"]) == ("ip6tables-save -t mangle" in nft["ran"]) == looked


def test_without_iptables_the_other_tunnels_work(nft, monkeypatch):
    def some(argv, fake=process.run):
        if argv[0].endswith("-save"):
            raise L2wgError(Problem("the command %s is not there" % argv[0]))
        return fake(argv)

    monkeypatch.setattr(process, "run", some)
    tables = snapshot.look([TUNNEL._replace(mss_clamp="iptables")], {}).iptables
    assert (tables.ipv4, tables.ipv6) == ((), ())


# As nft 1.0.6, 0.9.8 and 0.9.0 list a counter.
LISTING = """table bridge l2wg {
	counter loop-gretap1 {
		packets 3 bytes 180
	}

	counter vlans-gretap1 {
		packets 12 bytes 720	}

	counter dhcp-site-b.2 {
		packets 0 bytes 0
	}

	chain storm_1 {
		counter packets 5 bytes 300 drop comment "storm gretap1"
	}
}
"""


def test_counters_are_read_by_tunnel(monkeypatch):
    monkeypatch.setattr(process, "run", lambda argv: process.Result(0, LISTING, ""))
    assert nftables_state.counters() == {("loop", "gretap1"): 3, ("vlans", "gretap1"): 12, ("dhcp", "site-b.2"): 0, ("storm", "gretap1"): 5}


def test_without_tables_no_counters(monkeypatch):
    monkeypatch.setattr(process, "run", lambda argv: process.Result(1, "", "Error: No such file or directory"))
    assert nftables_state.counters() == {}


def test_the_note_is_json_that_people_can_read(nft):
    ruleset.load(of(TUNNEL), NFT)
    assert sorted(json.loads(read(nftables_state.LOADED))) == ["entries", "meant", "template", "values"]


@pytest.mark.parametrize("entry, value", [
    (None, {}), ([], {}), ("x", {}), ({}, None), ({}, []), ({}, {}),
])  # fmt: skip
def test_what_is_no_entry_is_none_of_ours(entry, value):
    assert not nftables.fits(entry, value)


def test_an_entry_is_one_in_whole():
    entry, value = nftables.entry(TUNNEL), nftables.value(TUNNEL, LINKS)
    assert nftables.fits(entry, value)
    for key in entry:
        assert not nftables.fits({name: field for name, field in entry.items() if name != key}, value), key
        assert not nftables.fits(dict(entry, **{key: ["no such thing"]}), value) or key == "vlans", key
    for key in value:
        assert not nftables.fits(entry, {name: field for name, field in value.items() if name != key}), key
        assert not nftables.fits(entry, dict(value, **{key: "no; such thing"})), key
