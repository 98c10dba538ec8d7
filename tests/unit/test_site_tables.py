"""`l2wg sites`: the net as a table, of any size, for root and for others, whatever is wrong in the file."""

import json

import many
import nets
import pytest
import site_tables
from conftest import TREE
from l2wg_hooks import cli
from l2wg_hooks.commands import registry
from l2wg_hooks.observe import counter_growth
from l2wg_hooks.status import render_prometheus, render_sites, render_sites_json, show, sites, status, survey
from test_many import MOST, grows

HUB = "net shape=star hub=site0\n"


@pytest.mark.usefixtures("real_names")
@pytest.mark.parametrize("case", site_tables.CASES)
def test_golden(case):
    text = site_tables.drawn(case)
    assert text == (site_tables.GOLDEN / case).read_text()
    assert all(len(line) <= 80 for line in text.splitlines()) or case.endswith(".json")


@pytest.mark.usefixtures("real_names")
@pytest.mark.parametrize("case", site_tables.SCREENS)
def test_a_net_with_hubs(case):
    text = site_tables.screen(case)
    assert text == (site_tables.GOLDEN / case).read_text() and all(len(line) <= 80 for line in text.splitlines())


@pytest.fixture
def router(etc, monkeypatch):
    """Somebody who is root at site 0; gives what writes the file of sites, and has it looked at."""
    monkeypatch.setattr(show.os, "geteuid", lambda: 0)

    def write(text):
        (etc / "sites").write_text(text)
        monkeypatch.setattr(survey, "look", lambda: site_tables.looked(site_tables.net(text, 0)))

    return write


def test_the_command(router, capsys):
    router(nets.text("hub=site0", 3))
    assert cli.main(["sites"]) == 0
    said = capsys.readouterr()
    assert "a star of 3 sites" in " ".join(said.out.split()) and "site2 198.18.0.3" in said.out and said.err == ""
    router(HUB + nets.line(0) + nets.line(1, "mtu=1"))
    assert cli.main(["sites", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False and found["here"] == "site0" and found["sites"][1]["faults"][0]["line"] == 3


def test_without_the_file_it_says_so_and_what_there_is_instead(etc, capsys):
    assert cli.main(["sites"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "sites: there is no such file" in said.err and "l2wg status" in said.err and "hint" in said.err


def test_others_than_root_see_the_file(etc, monkeypatch, capsys):
    """No process runs, and what they cannot know is not guessed."""
    monkeypatch.setattr(show.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(cli, "_is_root", lambda: False)
    (etc / "sites").write_text(HUB + nets.line(0) + nets.line(1, "mtu=1") + nets.line(2, "gone=2026-11-25"))
    assert cli.main(["sites"]) == 1
    said = capsys.readouterr()
    assert "out since 2026-11-25" in said.out and "sudo l2wg sites" in said.out and "mtu: expected a number" in said.out and said.err == ""
    assert cli.main(["sites", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["looked"] is False and found["here"] is None and [site["state"] for site in found["sites"]] == ["unknown", "unknown", "gone"]
    # All other commands are for root.
    assert [name for name in registry.NAMES if getattr(registry.module(name), "FOR_ALL", False)] == ["sites"]
    assert cli.main(["status"]) == 3 and "is for root" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_told_of(etc, monkeypatch, capsys):
    monkeypatch.setattr(show.os, "geteuid", lambda: 1000)
    (etc / "sites").mkdir()
    assert cli.main(["sites"]) == 1
    assert "is a directory" in capsys.readouterr().err


@pytest.mark.usefixtures("real_names")
def test_all_that_is_wrong_is_shown_once_with_its_line():
    """More than a Wish tells of one file, too."""
    text = HUB + nets.line(0) + "".join(nets.line(number, "mtu=1") for number in range(1, 40))
    found = site_tables.table(text, 0)
    assert len(found.wrong) == 39 and [row.faults[0].line for row in found.rows[1:]] == list(range(3, 42)) and found.elsewhere == 0
    said = render_sites.render(found)
    assert said.count("mtu: expected a number") == 39 and "more are wrong" not in said and "39 things are wrong" in " ".join(said.split())


@pytest.mark.parametrize("text", ["", "net hub=hq\n", "rubbish\n", nets.line(0), nets.line(0)[:-1], "net shape=ring\n" + nets.line(0) + nets.line(1), HUB + nets.line(1)])
@pytest.mark.parametrize("number", [0, 7, None])
def test_whatever_is_in_the_file_there_is_a_table(text, number):
    found = site_tables.table(text, number)
    assert found.wrong or number is None
    said = render_sites.render(found)
    assert all(len(line) <= 80 for line in said.splitlines()) and said.endswith("\n") and not said.endswith("\n\n")
    json.dumps(render_sites_json.document(found, "a", 0))


def test_what_is_wrong_elsewhere_is_counted_not_shown():
    text = nets.text("hub=site0", 3)
    other = many.wish("gretap", 1)
    seen = site_tables.looked(site_tables.net(text, 0, other), other)
    seen = seen._replace(links={name: link for name, link in seen.links.items() if name != other[0].name})
    found = sites.build(seen.wished.net, nets.PATH, status.build(seen), seen.wished.problems)
    assert found.wrong == () and found.elsewhere == 1
    assert "1 more is wrong, with what is no part of this net: l2wg status" in render_sites.render(found)


def test_the_widest_values_fit_and_json_has_them_whole():
    name, lan, address = "a" * 32, "2001:db8:1111:2222:3333:4444:5555:0/112", "fd00:1111:2222:3333:4444:5555:6666:7777"
    text = HUB.replace("site0", name) + nets.line(0, name=name, lan=lan, addresses=(address,)) + nets.line(1, name="b" * 32, lan=lan, addresses=(address[:-1] + "8",))
    found = site_tables.table(text, 0)
    big = found.rows[1].tunnel.traffic.sent._replace(bytes=(1 << 62) - 1)
    state = found.rows[1].tunnel._replace(traffic=found.rows[1].tunnel.traffic._replace(received=big, sent=big))
    found = found._replace(rows=(found.rows[0], found.rows[1]._replace(tunnel=state)))
    said = render_sites.render(found)
    assert all(len(line) <= 80 for line in said.splitlines()) and "TiB" in said
    assert render_sites_json.document(found, "a", 0)["sites"][1]["addresses"] == [address[:-1] + "8"]


def test_colours_say_what_the_words_say():
    found = site_tables.table(HUB + nets.line(0) + nets.line(1, "mtu=1"), 0)
    assert "\x1b[31msite1" in render_sites.render(found, colour=True)


def test_older_copies_are_told_of():
    """By what the wish has found, in a message without a line."""
    text = nets.text("hub=site0", 3)
    kept = site_tables.net(nets.text("hub=site0", 4), 0).part.tunnels[-1:]
    found = site_tables.table(text, 0, kept=kept)
    assert found.rows[-1].name == "site3" and found.rows[-1].line == 0 and found.rows[-1].tunnel
    assert "no line has it any longer" in render_sites.render(found)


@pytest.mark.parametrize("how", [render_sites.render, lambda found: render_sites_json.document(found, "a", 0)])
def test_a_thousand_sites_cost_ten_times_what_a_hundred_do(how):
    def work(count):
        found = site_tables.net(nets.text("hub=site0 isolated=yes", count), 0)
        seen = site_tables.looked(found)
        state = status.build(seen)
        return lambda: how(sites.build(found, nets.PATH, state, seen.wished.problems))

    assert grows(work) <= MOST


def test_it_looks_as_often_as_status_does(router, monkeypatch):
    """One Survey, of five processes."""
    router(nets.text("hub=site0", 3))
    looks = []
    look = survey.look
    monkeypatch.setattr(survey, "look", lambda: looks.append(1) or look())
    cli.main(["sites"])
    assert looks == [1]


@pytest.mark.skipif(not (TREE / "docs/l2wg.8").exists(), reason="docs/l2wg.8 is not beside the tests: an installed package")
def test_the_man_page_tells_the_schema():
    def paths(value, at=""):
        if isinstance(value, dict):
            for key, member in value.items():
                yield from paths(member, "%s.%s" % (at, key) if at else key)
        elif isinstance(value, list) and not at.endswith(("addresses", "faults", "hubs")):
            for member in value:
                yield from paths(member, at + "[]")
        else:
            yield at

    found = json.loads((site_tables.GOLDEN / "faults.json").read_text())
    names = {name for name in paths(found) if name not in ("sites[].tunnel", "sites[].peer")}
    manual = (TREE / "docs" / "l2wg.8").read_text()
    table = manual.partition('.\\" schema of sites begins')[2].partition('.\\" schema of sites ends')[0]
    assert names == {line[7:] for line in table.splitlines() if line.startswith(".It Cm ")}


def test_status_takes_a_sites_name_for_its_tunnels(router, capsys):
    router(HUB + nets.line(0) + nets.line(1) + nets.line(2, name="the-branch-in-the-old-town-hall"))
    assert cli.main(["status", "the-branch-in-the-old-town-hall"]) == cli.main(["status", "the-bran-d84f03"])
    first, second = capsys.readouterr().out.split("router: ")[1:]
    assert first == second and "the-bran-d84f03 to the-branch-in-the-old-town-hall" in first and "site1 to" not in first
    assert cli.main(["status", "site7"]) == 1 and "'site7' is not a tunnel" in capsys.readouterr().err


@pytest.mark.parametrize("root", [True, False])
def test_another_file_is_read_alone(tmp_path, monkeypatch, capsys, root):
    """By root, too: what there is here is of the file that holds here."""
    monkeypatch.setattr(show.os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(cli, "_is_root", lambda: root)
    monkeypatch.setattr(survey, "look", lambda: pytest.fail("the kernel is asked"))
    path = tmp_path / "new"
    path.write_text(nets.text("hub=site0", 3))
    assert cli.main(["sites", "--file", str(path)]) == 0
    said = capsys.readouterr().out
    assert "nothing is wrong with the file" in " ".join(said.split()) and "sudo" not in said
    path.write_text(HUB + nets.line(0) + nets.line(1, "mtu=1"))
    assert cli.main(["sites", f"--file={path}"]) == 1
    assert ":3: mtu: expected a number" in "".join(capsys.readouterr().out.replace("\n", " ").split("              "))
    assert cli.main(["sites", "--file", str(tmp_path / "none")]) == 1
    assert "none: cannot be read" in capsys.readouterr().err


def test_bytes_a_second_are_shown_where_somebody_has_looked_before():
    text = nets.text("hub=site0", 3)
    found = site_tables.net(text, 0)
    seen = site_tables.looked(found)
    seen = seen._replace(rates={f"peer wg0 {nets.key(1)}": counter_growth.Rate(2048, 1024.04)})
    table = sites.build(found, nets.PATH, status.build(seen))
    said = render_sites.render(table)
    rows = {line.split(" ")[0]: line for line in said.splitlines()}
    assert rows["site"].endswith(" a second") and rows["site1"].endswith(" 3.0 KiB") and rows["site2"].endswith(" -")
    assert all(len(line) <= 80 for line in said.splitlines()) and "a second" not in render_sites.render(site_tables.table(text, 0))
    peers = [site["peer"] for site in render_sites_json.document(table, "a", 0)["sites"][1:]]
    assert [(peer["received_rate"], peer["sent_rate"]) for peer in peers] == [(2048, 1024.0), (None, None)]


def test_metrics_have_the_sites_names():
    """Of what comes of the file of sites: the names of other series are as they were."""
    text = HUB + nets.line(0) + nets.line(1) + nets.line(2, name="the-branch-in-the-old-town-hall")
    hand = (site_tables.HAND[0]._replace(site="x", remote="198.18.0.2", key=7),)
    seen = site_tables.looked(site_tables.net(text, 0), hand)
    samples = [line for line in render_prometheus.render(status.build(seen)).splitlines() if not line.startswith("#")]
    long = 'site="the-branch-in-the-old-town-hall"'
    assert f'l2wg_tunnel_up{{tunnel="the-bran-d84f03",{long}}} 1' in samples and 'l2wg_tunnel_up{tunnel="gretap1"} 1' in samples
    assert f'l2wg_dropped_frames_total{{tunnel="the-bran-d84f03",{long},reason="loop"}} 0' in samples
    assert any(line.startswith(f'l2wg_peer_receive_bytes_total{{underlay="wg0",public_key="{nets.key(2)}",{long}}}') for line in samples)
    assert any(line.startswith(f'l2wg_port_forwarding{{bridge="br0",port="the-bran-d84f03",{long}}}') for line in samples)
