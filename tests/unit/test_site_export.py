"""`l2wg sites --for SITE --as FORM`: what another tool is given is what that router itself works out."""

import re

import nets
import pytest
import site_tables
from conftest import TREE
from l2wg_hooks import cli
from l2wg_hooks.config import own_wire, site_tunnels, tunnel_file, wg_quick_peers
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.status import site_export

TEMPLATES = TREE / "debian/l2wg.templates"
STAR = "".join(
    (
        "net hub=site0 mtu=1400\n",
        nets.line(0),
        nets.line(1, "bridge-ports=enp3s0,enp4s0 vlans=10,20 storm-limit=100 isolated=yes"),
        nets.line(2, "gone=2026-11-25"),
        nets.line(3, addresses=("198.18.0.4", "fd00::4"), name="the-branch-in-the-old-town-hall"),
    )
)
NETS = ("star-3", "star-30", "mesh-30", "vxlan-30", "one-30")


def export(text, name, form, underlay="wg0"):
    return site_export.export(nets.lines(text), name, form, underlay, nets.PATH)


def texts():
    """{what: (its text, the sites that are in)} of nets with all shapes."""
    found = {name: (site_tables.GOLDEN / f"{name}.sites").read_text() for name in NETS}
    found["mixed"] = STAR
    return found


def files(text):
    """{path: what follows it} of --as conf."""
    parts = re.split(r"(?m)^# (/etc/l2wg/\S+\.conf)$\n", text)
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.mark.usefixtures("real_names")
@pytest.mark.parametrize("name", [*NETS, "mixed"])
def test_as_files_it_is_what_that_router_works_out(name):
    """All sites: the Tunnels that come of the files are those that come of the lines, but for what no file of a tunnel has."""
    text = texts()[name]
    lines = nets.lines(text)
    for site in lines.living():
        number = next(number for number in range(100) if nets.key(number) == site.key)
        part = nets.part(lines, number)
        found = files(export(text, site.name, "conf").text)
        assert sorted(found) == [f"/etc/l2wg/{tunnel.name}.conf" for tunnel in sorted(part.tunnels, key=lambda tunnel: tunnel.name)]
        for tunnel in part.tunnels:
            path = f"/etc/l2wg/{tunnel.name}.conf"
            read, problems = tunnel_file.parse(found[path], path, tunnel.name)
            assert problems == () and read._replace(lines={}) == tunnel._replace(lines={}, path=path, peers=())


@pytest.mark.parametrize("name", [*NETS, "mixed"])
def test_as_wg_quicks_file_it_has_that_routers_peers(name):
    """By whoever reads such files here; with a key in its place, nothing is wrong in it."""
    text = texts()[name]
    lines = nets.lines(text)
    for site in lines.living():
        number = next(number for number in range(100) if nets.key(number) == site.key)
        said = export(text, site.name, "wg-quick").text
        assert wg_quick_peers.interface_values(said, "privatekey") == [] and f"# PrivateKey: the private key of {site.key}" in said
        wire, problems = own_wire.parse(re.sub("# PrivateKey: .*", "PrivateKey = x", said), "wg0.conf")
        peers = [peer for tunnel in nets.part(lines, number).tunnels for peer in tunnel.peers]
        assert problems == () and set(wire.peers) == {peer.key for peer in peers}
        assert {address.partition("/")[0] for address in wire.addresses} == set(site.card.addresses)
        assert wire.port == (site.card.endpoint.rpartition(":")[2] or None)
        for peer in peers:
            assert {str(network) for network in wire.peers[peer.key].allowed} == set(peer.allowed)
            assert wire.peers[peer.key].endpoint == peer.endpoint and wire.peers[peer.key].keepalive == (str(peer.keepalive) if peer.keepalive else "off")


@pytest.mark.skipif(not TEMPLATES.exists(), reason="debian/l2wg.templates is not beside the tests: an installed package")
def test_as_preseed_it_has_debconfs_questions():
    said = export(STAR, "site1", "preseed")
    rows = [line.split(" ", 3) for line in said.text.splitlines()]
    assert all(row[0] == "l2wg" for row in rows)
    kinds = dict(re.findall(r"(?m)^Template: (\S+)\nType: (\S+)", TEMPLATES.read_text()))
    assert [row for row in rows if kinds[row[1]] != row[2]] == []
    assert ["l2wg", "l2wg/bridge-ports", "string", "enp3s0 enp4s0"] in rows and ["l2wg", "l2wg/remote", "string", "198.18.0.1"] in rows
    (peers, rest) = said.notes
    assert "--as wg-quick" in peers.hint
    assert rest.hint == "once it is installed: l2wg set site0 mtu=1400 vlans=10,20 storm-limit=100 site=site0; l2wg apply"


@pytest.mark.parametrize(
    "text, name, form, said",
    [
        (STAR, "site9", "conf", "no site is called 'site9'"),
        (STAR, "site2", "conf", f"{nets.PATH}:4: site2 is out since 2026-11-25"),
        (STAR, "site0", "preseed", "site0 has 2 tunnels, and debconf asks for one"),
        ("net shape=mesh encapsulation=vxlan\n" + "".join(map(nets.line, range(3))), "site0", "preseed", "leads to 2 sites, and debconf asks for one"),
        (STAR.replace("vlans=10,20", "vlans=x"), "site0", "conf", f"{nets.PATH}:3: vlans: expected a list of VLANs"),
        ("net hub=site0\n" + nets.line(0), "site0", "nix", "site0 is alone"),
        ("net hub=site0\n" + nets.line(0, "bridge=site1") + nets.line(1), "site0", "nix", "site1 is the name of a site"),
    ],
)
def test_what_cannot_be_is_told_with_its_cure(text, name, form, said):
    with pytest.raises(L2wgError) as caught:
        export(text, name, form)
    assert said in str(caught.value) and "hint: " in str(caught.value)


@pytest.mark.usefixtures("real_names")
@pytest.mark.parametrize("name", [*NETS, "mixed"])
def test_of_a_wire_of_its_own_too(name):
    """What that router works out where l2wg makes its WireGuard; and that one's file is known for what it is."""
    lines = nets.lines(texts()[name])
    for site in lines.living()[:3]:
        number = next(number for number in range(100) if nets.key(number) == site.key)
        part = nets.part(lines, number, site_tunnels.Wire("l2w0", True))
        found = files(site_export.export(lines, site.name, "conf", "", nets.PATH, "own").text)
        for tunnel in part.tunnels:
            path = f"/etc/l2wg/{tunnel.name}.conf"
            read, problems = tunnel_file.parse(found[path], path, tunnel.name)
            assert problems == () and read.walled and read._replace(lines={}) == tunnel._replace(lines={}, path=path, peers=())
        said = site_export.export(lines, site.name, "wg-quick", "", nets.PATH, "own")
        assert own_wire.is_marked(said.text) and said.text.startswith("# /etc/wireguard/l2w0.conf of ")
        wire, problems = own_wire.parse(re.sub("# PrivateKey: .*", "PrivateKey = x", said.text), "l2w0.conf")
        assert problems == () and set(wire.peers) == {peer.key for tunnel in part.tunnels for peer in tunnel.peers}
        said = site_export.export(lines, site.name, "nix", "", nets.PATH, "own")
        assert 'wire = "own";' in said.text and 'underlay = "l2w0";' in said.text and "networking" not in said.text
        assert "`--as wg-quick --wire own` prints that file" in said.notes[0].hint
    said = site_export.export(nets.lines(STAR), "site1", "preseed", "", nets.PATH, "own")
    assert "l2wg/attach boolean false" in said.text and "l2wg/apply boolean false" in said.text and " wire=own " in said.notes[1].hint
    assert not own_wire.is_marked(export(STAR, "site1", "wg-quick").text) and "wire" not in export(STAR, "site1", "conf").text


@pytest.mark.parametrize("form", site_export.FORMS)
def test_what_a_form_has_no_word_for_is_told(form):
    said = export(STAR, "site1", form, "wg7")
    assert said.notes and all(note.hint for note in said.notes) and "wg7" in said.text
    assert re.search("(?m)[^ -~\n]", said.text) is None


def test_the_command_needs_no_root_and_no_kernel(etc, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cli, "_is_root", lambda: False)
    (etc / "sites").write_text(STAR)
    assert cli.main(["sites", "--for", "site1", "--as", "conf"]) == 0
    said = capsys.readouterr()
    assert said.out == export(STAR, "site1", "conf").text and "hint: `--as wg-quick` prints them" in said.err
    (tmp_path / "new").write_text(STAR + nets.line(4))
    assert cli.main(["sites", f"--file={tmp_path}/new", "--for=site1", "--as=nix", "--underlay=wg7"]) == 0
    assert 'interfaces."wg7"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, said",
    [
        (["--for", "site1"], "--as wg-quick, --as conf"),
        (["--as", "conf"], "l2wg sites --for SITE --as conf"),
        (["--underlay", "wg0"], "l2wg sites --for SITE --as FORM"),
        (["--wire", "own"], "l2wg sites --for SITE --as FORM"),
        (["--for", "a", "--as", "conf", "--wire", "mine"], "invalid choice"),
        (["--for", "a", "--as", "toml"], "invalid choice"),
        (["--for", "a", "--as", "conf", "--underlay", "wg0;reboot"], "expected the name of an interface"),
        (["--for", "a", "--as", "conf", "--json"], "not allowed with"),
    ],
)
def test_half_a_command_line_is_refused(etc, capsys, words, said):
    with pytest.raises(SystemExit) as caught:
        cli.main(["sites", *words])
    assert caught.value.code == 2 and said in capsys.readouterr().err


def test_a_site_that_changes_its_key_is_told_with_both(text=STAR):
    text = text.replace(nets.line(0), nets.line(8, f"was={nets.key(0)}", name="site0", addresses=("198.18.0.1",)))
    said = export(text, "site1", "wg-quick").text
    first, second = said.split("[Peer]")[1:]
    assert f"PublicKey = {nets.key(0)}\n" in first and "AllowedIPs = 198.18.0.1/32\n" in first
    assert f"PublicKey = {nets.key(8)}\n" in second and "AllowedIPs =" not in second and "# site0: its next key" in said
    assert f'publicKey = "{nets.key(8)}"; allowedIPs = [  ];' in export(text, "site1", "nix").text
