"""The name of the other site, wherever a tunnel is shown or told of."""

import nets
import recorded
from l2wg_hooks.config import schema, store, tunnel_file
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Step, Wait
from l2wg_hooks.reconcile import event_summary
from l2wg_hooks.status import status

NAMED = recorded.A + "site = site-b\n"


def test_every_form_of_the_status_names_the_other_site():
    unnamed = recorded.forms(status.build(recorded.seen("right-a")))
    found = recorded.forms(status.build(recorded.seen("right-a", {"gretap1": NAMED})))
    assert sorted(found) == sorted(unnamed)
    for form, text in found.items():
        assert "site-b" in text and "site-b" not in unnamed[form], form
    assert "gretap1 to site-b up" in found["screen"]
    assert all(len(line) <= 80 for line in found["diagram"].splitlines() + found["screen"].splitlines())


def test_a_line_for_each_of_many_tunnels_names_its_site():
    texts = {"gretap%d" % number: NAMED.replace("bridge = br0", "key = %d\nbridge = br0" % number) for number in range(1, 6)}
    texts["gretap2"] = texts["gretap2"].replace("site-b", "a-very-long-name-of-some-site")
    text = recorded.forms(status.build(recorded.seen("right-a", texts)))["screen"]
    assert "site-b" in text and "a-very-..." in text and all(len(line) <= 80 for line in text.splitlines())


def test_the_journal_names_the_site():
    told = event_summary.EventSummary("apply")
    told.told = [Step(("ip", "link", "add", "name", "gretap1", "type", "gretap"), "it is not there", "gretap1")]
    assert told.text({"gretap1": "site-b"}) == "l2wg: gretap1 (site-b): made"
    assert told.text() == "l2wg: gretap1: made"
    fields = list(told.fields(["gretap1"], {"gretap1": "site-b"}))
    assert ("L2WG_TUNNEL", "gretap1") in fields and ("L2WG_SITE", "site-b") in fields
    assert "L2WG_SITE" not in dict(told.fields(["gretap1"]))


def test_the_journal_names_the_site_of_a_tunnel_that_is_called_like_it():
    """In the fields; the line would say it twice."""
    told = event_summary.EventSummary("apply")
    told.told = [Step(("ip", "link", "add", "name", "site1", "type", "gretap"), "it is not there", "site1")]
    told.waiting = (Wait("the-bran-d84f03", "bridge", "br0"), Wait("site1", "bridge", "br0"))
    sites = {"site1": "site1", "the-bran-d84f03": "the-branch-in-the-old-town-hall"}
    assert told.text(sites) == "l2wg: site1: made; the-bran-d84f03 (the-branch-in-the-old-town-hall) waits for br0; site1 waits for br0"
    fields = list(told.fields(sites, sites))
    assert [value for key, value in fields if key == "L2WG_SITE"] == ["site1", "the-branch-in-the-old-town-hall"]


def test_a_mistake_in_a_line_is_of_that_site(etc):
    (etc / "sites").write_text("net hub=site0\n" + nets.line(0) + nets.line(1, "mtu=1") + "rubbish\n")
    summary = event_summary.EventSummary("apply")
    found = {problem.line: dict(summary.fields_of(problem)) for problem in nets.lines((etc / "sites").read_text()).problems}
    assert sorted(found) == [3, 4]
    path = store.path(store.SITES)
    assert dict(summary.fields_of(Problem("x", "y", path, 3)))["L2WG_SITE"] == "site1"
    assert "L2WG_SITE" not in dict(summary.fields_of(Problem("x", "y", path, 4)))
    assert "L2WG_SITE" not in dict(summary.fields_of(Problem("x", "y", str(etc / "gretap1.conf"), 3)))


def test_a_name_is_one_word():
    for name in ("", "b", "site-b", "a" * 32):
        assert schema.KEYS["site"].parse(name) == name
    tunnel, problems = tunnel_file.parse(recorded.A + "site = $(reboot)\n", "x.conf", "x")
    assert tunnel is None and "expected the name of a site, not " in str(problems[0])
