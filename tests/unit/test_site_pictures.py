"""`l2wg status --diagram` and `--svg` of nets of 3, 12, 100 and 1,000 sites: readable, whatever there is to see."""

import re
from xml.etree import ElementTree

import pytest
import site_tables
from conftest import TREE
from l2wg_hooks.status import render_diagram, render_svg, tunnel_groups
from test_many import MOST, grows

SVG = "{http://www.w3.org/2000/svg}"
# Widths of a character in pixels: monospace of 12, and bold sans-serif of 14, each as wide as it is anywhere, measured.
LETTER, NAME = 7.3, 9.0
NETS = [("hub=site0", 3, 0), ("hub=site0", 12, 0), ("hub=site0 isolated=yes", 12, 5), ("hub=site0", 100, 0), ("hub=site0", 100, 7)]
NETS += [(site_tables.TWO_HUBS, 5, 2), (site_tables.TWO_HUBS, 12, 0), (site_tables.BY_HUB, 5, 2), (site_tables.BY_HUB, 12, 0)]
NETS += [("hub=site0 isolated=yes", 1000, 0), ("hub=site0 isolated=yes", 1000, 7), ("shape=mesh", 3, 1), ("shape=mesh", 12, 3), ("shape=mesh", 30, 0)]


@pytest.mark.parametrize("case", site_tables.PICTURES)
def test_golden(case):
    """tests/unit/site_tables.py draws them anew; look at the difference."""
    assert site_tables.diagram(case) == (site_tables.GOLDEN / case).read_text()


@pytest.mark.parametrize("net", NETS)
def test_a_diagram_fits_and_has_each_site_by_name_or_by_number(net):
    state, table = site_tables.pictured(*net)
    text = render_diagram.render(state, lines=False, table=table)
    assert text.isascii() and max(map(len, text.splitlines())) <= 80 and len(text.splitlines()) <= 60
    _complete(text.partition("\n\n")[2], table)


def _complete(text, table):
    """Each site but this one is in the picture once, by its name, or as one of those that there are `more`."""
    names = {row.name for row in table.rows if not row.here}
    words = re.findall("site[0-9]+", text)
    left = sum(map(int, re.findall(r"and ([0-9]+) more: l2wg sites", text)))
    assert len(set(words) & names) + left == len(names)


@pytest.mark.parametrize("net", NETS)
def test_the_picture_has_each_site_and_nothing_over_something_else(net):
    state, table = site_tables.pictured(*net)
    root = ElementTree.fromstring(render_svg.render(state, table))
    width, height = float(root.get("width")), float(root.get("height"))
    boxes = [[float(item.get(word)) for word in ("x", "y", "width", "height")] for item in root.iter(SVG + "rect") if item.get("class", "").startswith("card ")]
    assert height <= 1600 and len(boxes) <= tunnel_groups.ROWS + 3
    assert boxes and all(0 <= x and x + w <= width and 0 <= y and y + h <= height for x, y, w, h in boxes)
    for index, (x, y, w, h) in enumerate(boxes):
        for other, down, wide, high in boxes[index + 1 :]:
            assert x + w <= other or other + wide <= x or y + h <= down or down + high <= y
    texts = [(item, float(item.get("x")), float(item.get("y"))) for item in root.iter(SVG + "text")]
    inside = []
    for item, x, y in texts:
        box = next((box for box in boxes if box[0] <= x < box[0] + box[2] and box[1] <= y < box[1] + box[3]), None)
        size = len(item.text or "") * (NAME if item.get("class") == "name" else LETTER)
        if box and item.get("class", "").split(" ")[0] != "mid":
            assert x + size <= box[0] + box[2] + 1, item.text
            inside.append(item.text)
    assert all(x <= width for _, x, _ in texts) and width <= 1400
    _complete("\n".join(inside), table)
    for line in root.iter(SVG + "line"):
        assert line.get("class") in ("good", "bad", "idle", "far")


def test_what_wants_to_be_looked_at_comes_first():
    state, table = site_tables.pictured("hub=site0", 100, 0)
    found = tunnel_groups.groups(state, state.tunnels)
    assert [group.word for group in found] == [tunnel_groups.MISSING, tunnel_groups.UNHEARD, tunnel_groups.UP]
    assert [group.fine for group in found] == [False, False, True] and sum(len(group.tunnels) for group in found) == 99
    assert found[2].names == tuple(sorted(found[2].names, key=lambda name: int(name[4:])))
    text = render_diagram.render(state, table=table)
    assert text.index("missing") < text.index("no handshake yet") < text.index("sites ══ up")


@pytest.mark.parametrize("how", [render_diagram.render, render_svg.render])
def test_a_thousand_sites_cost_ten_times_what_a_hundred_do(how):
    def work(count):
        state, table = site_tables.pictured("hub=site0 isolated=yes", count, 0)
        return lambda: how(state, table=table)

    assert grows(work) <= MOST


def test_the_command_draws_the_net(etc, monkeypatch, capsys):
    import nets
    from l2wg_hooks import cli
    from l2wg_hooks.status import survey

    monkeypatch.setattr(cli, "_is_root", lambda: True)
    monkeypatch.setattr(survey, "look", lambda: site_tables.looked(site_tables.net(nets.text("hub=site0", 12), 5)))
    assert cli.main(["status", "--diagram"]) == 0
    said = capsys.readouterr().out
    assert "a star of 12 sites" in said and "10 more sites" in said and "by way of the hub" in said
    assert cli.main(["status", "--svg", "-"]) == 0
    assert "10 more sites" in capsys.readouterr().out


def broadcasts(sites, stations, receivers):
    """Mbit/s out of a router: so many stations' broadcasts, one in 5 s from each, 156 bytes on the WAN, to so many others."""
    return sites * stations / 5 * 156 * 8 * receivers / 1e6


@pytest.mark.skipif(not (TREE / "docs/shapes.svg").exists(), reason="docs/shapes.svg is not beside the tests: an installed package")
def test_the_readmes_estimate_is_what_its_words_come_to():
    table = dict(re.findall(r"(?m)^\| (?:broadcasts|\.\.\.) of ([0-9,]+)(?: sites, Mbit/s)? \| (.*) \|$", (TREE / "README.md").read_text()))
    for count, row in table.items():
        number = int(count.replace(",", ""))
        said = [float(re.match("[0-9.,]+", cell).group().replace(",", "")) if cell.strip() else None for cell in row.split(" | ")]
        wanted = [broadcasts(number, 5, number - 1), broadcasts(1, 20, number), broadcasts(1, 5, number - 1)]
        assert all(value is None or abs(value - figure) <= 0.1 * figure + 0.005 for value, figure in zip(said, wanted)), (count, wanted)
    assert list(table) == ["10", "30", "100", "1,000"]
    ElementTree.fromstring((TREE / "docs/shapes.svg").read_text())
    assert "](docs/shapes.svg)" in (TREE / "README.md").read_text()
