"""What real routers said, as the Survey that status/status.py gets: tests/golden/status. Run as a program, it draws anew what they should look like.

tests/golden/status/README.md tells what was recorded, and where.
"""

import json
import pathlib
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = TREE / "tests" / "golden" / "status"
if __name__ == "__main__":
    sys.path.insert(0, str(TREE))

from l2wg_hooks.config import store, tunnel_file
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import fdb_table, interface_counters, link_table, wg_interfaces
from l2wg_hooks.status import render_diagram, render_json, render_prometheus, render_svg, render_text, status, survey
from l2wg_hooks.system import json_fields, process

A = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\nbridge-ports = enp3s0\n"
B = "underlay = wg0\nlocal = 192.168.92.1\nremote = 192.168.178.1\nbridge = br0\nbridge-ports =\n"
FENCED = A + "dhcp = block\nvlans = untagged,10-19\nstorm-limit = 1000\n"
SECOND = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\nkey = 7\nmtu = 1400\n"
CASES = {"right-a": {"gretap1": A}, "right-b": {"gretap1": B}, "down-a": {"gretap1": FENCED}, "fenced-a": {"gretap1": FENCED, "gretap2": SECOND}}


def wished(texts):
    """The Wish of files with these texts."""
    found = [(name, tunnel_file.parse(text, "/etc/l2wg/%s.conf" % name, name)) for name, text in texts.items()]
    tunnels = tuple(tunnel for _, (tunnel, _) in found if tunnel is not None)
    problems = tuple(problem for _, (_, some) in found for problem in some)
    return store.Wish(tunnels, tuple(name for name, (tunnel, _) in found if tunnel is None), problems)


def crowd(text):
    """What a Crowd makes of it."""
    found = fdb_table.Crowd()
    found.take(text)
    return found.found()


def seen(case, texts=None, **more):
    """The Survey of a recording. `texts` stand for its files; `more` replaces what else is in it."""

    def read(what):
        return (GOLDEN / case / "in" / what).read_text()

    entries = json_fields.table(read("links"))
    before = nftables_state.LOADED, nftables_state.template
    nftables_state.LOADED, nftables_state.template = str(GOLDEN / case / "in" / "loaded"), lambda: 0
    try:
        report = nftables_state.report([process.Result(0, read("inet"), ""), process.Result(0, read("bridge"), "")])
    finally:
        nftables_state.LOADED, nftables_state.template = before
    known = dict(
        wished=wished(CASES[case] if texts is None else texts),
        links=link_table.parse(read("links")),
        traffic=interface_counters.read(entries),
        stations=crowd(read("fdb"))[0],
        crowds=crowd(read("fdb"))[1],
        peers=wg_interfaces.parse_all(read("wg")),
        report=report,
        ages={"gretap1": 8040.5},
        time=int(read("time")),
        host="router-" + case[-1],
    )
    return survey.Survey(**dict(known, **more))


def forms(found):
    """{name in `out`: text} of a Status in all its forms."""
    return {
        "screen": render_text.render(found),
        "colour": render_text.render(found, colour=True),
        "diagram": render_diagram.render(found),
        "ascii": render_diagram.render(found, lines=False),
        "svg": render_svg.render(found),
        "metrics": render_prometheus.render(found),
        "json": json.dumps(render_json.document(found), indent=2) + "\n",
    }


def main():
    """Write what is wanted, to be looked at before it is committed."""
    for case in CASES:
        for suffix, text in forms(status.build(seen(case))).items():
            (GOLDEN / case / "out" / suffix).write_text(text)
    (TREE / "docs" / "status.svg").write_text(render_svg.render(status.build(seen("right-a"))))


if __name__ == "__main__":
    main()
