"""The name of the other site, wherever a tunnel is shown or told of."""

import recorded
from l2wg_hooks.config import schema, tunnel_file
from l2wg_hooks.model import Step
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


def test_a_name_is_one_word():
    for name in ("", "b", "site-b", "a" * 32):
        assert schema.KEYS["site"].parse(name) == name
    tunnel, problems = tunnel_file.parse(recorded.A + "site = $(reboot)\n", "x.conf", "x")
    assert tunnel is None and "expected the name of a site, not " in str(problems[0])
