"""The house: who may import whom, and what knows neither processes nor files. docs/architecture.md has the same rule in words."""

import rooms

# An import points to the right, never to the left, and never from one to another that stand between the same two `>`.
RULE = (
    "cli > commands > check | status | pairing > apply > rehearsal > reconcile > observe > plan > netfilter | probes | managers"
    " > config > system > model > encapsulation > errors > typed"
)
ORDER = {room: floor for floor, names in enumerate(RULE.split(" > ")) for room in names.split(" | ")}
# What the pure part may not know, not even by others: processes, files, sockets, clocks.
IMPURE = {"subprocess", "socket", "_socket", "select", "time", "signal", "threading", "_thread", "tempfile", "shutil", "ctypes", "fcntl"}
PURE = ("model", "errors", "typed", "encapsulation", "plan")
PURE_MODULES = (
    "config.allowed_ips config.card config.endpoint_lines config.endpoint_names config.public_key config.site_edit config.site_faults"
    " config.site_lines config.site_names config.site_tunnels config.terms config.invitation config.pasted config.inner_addresses"
    " config.schema config.tunnel_file config.conflicts config.bridge_switches config.ifupdown config.ifupdown_bridge"
    " config.ifupdown_stanzas config.ifupdown_commands config.shell_words config.revert config.wg_quick_peers"
    " config.site_hubs netfilter.nftables netfilter.iptables netfilter.trace pairing.rendezvous system.json_fields"
).split()


def room_of(name):
    return name.partition(".")[0]


def wrong(imports):
    """The imports that the rule does not allow, as lines."""
    found = []
    for name, imported in imports.items():
        for other in sorted(imported.ours | imported.later):
            here, there = room_of(name), room_of(other)
            if "templates" not in (here, there) and here != there and not ORDER[here] < ORDER[there]:
                found.append("%s imports %s: %s" % (name, other, RULE))
    return found


def circles(imports):
    """Modules that need each other to start."""
    left = {name: set(imported.ours) & set(imports) for name, imported in imports.items()}
    while True:
        free = [name for name, needs in left.items() if not needs & set(left)]
        if not free:
            return sorted(left)
        for name in free:
            del left[name]


def test_imports_run_one_way():
    imports = rooms.read()
    assert {room_of(name) for name in imports} == set(ORDER) | {"templates"}
    assert wrong(imports) == []
    assert circles(imports) == []


def test_the_rule_would_have_seen_it():
    backwards = rooms.Imports(set(), {"apply.apply"}, set())
    across = rooms.Imports({"status.survey"}, set(), set())
    assert len(wrong({"plan.planner": backwards, "check.runner": across})) == 2
    ring = {"plan.a": rooms.Imports({"plan.b"}, set(), set()), "plan.b": rooms.Imports({"plan.a"}, set(), set())}
    assert circles(ring) == ["plan.a", "plan.b"]


def test_the_pure_part_knows_no_process_file_or_clock():
    imports = rooms.read()
    pure = [name for name in imports if room_of(name) in PURE] + PURE_MODULES
    assert set(pure) <= set(imports)
    for name in pure:
        ours, outside = rooms.reached(name)
        assert not outside & IMPURE, name
        assert {module for module in ours if module.startswith("system.")} <= {"system", "system.json_fields"}, name


def test_its_probe_would_have_seen_it():
    ours, outside = rooms.reached("reconcile.executor")
    assert "select" in outside and "system.process" in ours


def test_no_two_modules_keep_something_under_one_name():
    """`ifup` once read the hooks' line of names, where a definition of a bridge had just been written."""
    found = rooms.kept()
    assert "/run/l2wg.interfaces" in found
    # One thing, which the second only looks for (test_site_record.py).
    del found["/run/l2wg.sites"]
    assert {path: modules for path, modules in found.items() if len(modules) > 1} == {}
