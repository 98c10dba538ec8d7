"""services.l2wg.sites: the file of sites, what the rest of NixOS is told of it, and what is refused, when."""

import json
import re
import subprocess
import sys
import time

import pytest
from conftest import DEVICE_WG0, HERE, SITE_B, TREE, but

sys.path.insert(0, str(TREE / "tests/unit"))
import nets  # the tree must be found first
from l2wg_hooks.config import schema, site_lines, site_names, tunnel_file
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.status import site_export
from test_units import FLUSH, words

BARE = but(SITE_B, {"services.l2wg.tunnels": None})
LONG = "the-branch-in-the-old-town-hall"


def net(text, **more):
    return but(BARE, {"services.l2wg.sites": text, **{"services.l2wg." + key: value for key, value in more.items()}})


def told(nix, tmp_path, text, of):
    """What nix/sites.nix makes of a text."""
    (tmp_path / "sites").write_text(text)
    expression = "(import %s { lib = import %s; text = builtins.readFile %s; }).%s" % (TREE / "nix/sites.nix", HERE / "stand-in/lib.nix", tmp_path / "sites", of)
    return json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", expression))


def test_names_are_read_out_of_the_cards_as_python_does(nix, tmp_path):
    names = ["a", "site-b", "x" * 15, "x" * 16, LONG, "A1-" + "z" * 28 + "9"] + ["b" * count for count in range(2, 33)]
    text = "net hub=a\n" + "".join(nets.line(number, name=name) for number, name in enumerate(dict.fromkeys(names)))
    text += nets.line(90, "gone=2026-11-25", name="left") + " \t" + nets.line(91, name="small").lower() + "# " + nets.line(92, name="no")
    living = [site.name for site in nets.lines(text).living()]
    assert sorted(told(nix, tmp_path, text, "names")) == sorted(living) and "small" in living and "left" not in living
    assert sorted(told(nix, tmp_path, text, "interfaces")) == sorted(map(site_names.tunnel, living))
    one = text.replace("net hub=a", "net shape=mesh encapsulation=vxlan")
    assert told(nix, tmp_path, one, "interfaces") == [site_names.MESH]
    assert len(told(nix, tmp_path, one.replace("vxlan", "gretap"), "interfaces")) == len(living)


def test_its_words_are_those_of_the_file(nix, tmp_path):
    assert told(nix, tmp_path, "net\n", "ofNet") == list(site_lines._OF_NET)
    assert told(nix, tmp_path, "net\n", "ofSite") == list(site_lines._OF_SITE)


@pytest.mark.parametrize("how", ["a path", "lines"])
def test_the_file_and_its_unit(evaluate, nix, tmp_path, package, how):
    text = nets.text("hub=site0", 3)
    (tmp_path / "net").write_text(text)
    got = evaluate(net(str(tmp_path / "net") if how == "a path" else text), package=package)
    assert got["failed"] == [] and got["files"] == {} and list(got["units"]) == ["l2wg-sites"]
    unit = got["units"]["l2wg-sites"]
    for key, command in (("ExecStart", "up wg0 --strict"), ("ExecReload", "up wg0 --strict"), ("ExecStop", "down /etc/l2wg/sites")):
        assert re.findall("(?m)^%s=(.*)$" % key, unit) == [f"{package}/bin/l2wg {command}"]
    assert words(unit, "BindsTo") == [DEVICE_WG0] and words(unit, "PartOf") == ["wg-quick-wg0.service", "br0-netdev.service"]
    assert "X-ReloadIfChanged=true" in unit and "multi-user.target" in got["wantedBy"]["l2wg-sites"]
    assert got["watch"]["timer"]["wantedBy"] == ["timers.target"]
    (tmp_path / "l2wg-sites.service").write_text(unit)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "./l2wg-sites.service"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert [line for line in done.stdout.decode().splitlines() if "l2wg" in line] == []


def test_an_edit_reloads_it_and_no_other(evaluate):
    both = but(SITE_B, {"services.l2wg.sites": nets.text("hub=site0", 3)})
    before, after = evaluate(both)["units"], evaluate(but(both, {"services.l2wg.sites": nets.text("hub=site0", 4)}))["units"]
    assert before["l2wg-gretap1"] == after["l2wg-gretap1"]
    # The peers of sites have names for endpoints, and each event brings all of the plan about.
    assert all({"AF_INET", "AF_INET6"} <= set(words(unit, "RestrictAddressFamilies")) for unit in before.values())
    assert "AF_INET" not in words(evaluate(SITE_B)["units"]["l2wg-gretap1"], "RestrictAddressFamilies")
    assert {line.partition("=")[0] for line in set(before["l2wg-sites"].splitlines()) ^ set(after["l2wg-sites"].splitlines())} == {"X-Restart-Triggers"}


def test_other_managers_keep_off(evaluate):
    got = evaluate(net(nets.text("hub=site0", 2) + nets.line(2, name=LONG)))
    names = ["site0", "site1", site_names.tunnel(LONG)]
    assert set(names) <= set(got["denied"]) and {"interface-name:" + name for name in names} <= set(got["unmanaged"])
    assert sorted(got["networks"]["05-l2wg-sites"]["matchConfig"]["Name"].split()) == sorted(names)
    assert got["networks"]["05-l2wg-sites"]["linkConfig"] == {"Unmanaged": True}


def test_modules_and_firewall_follow_the_line_of_the_net(evaluate):
    for encapsulation, rule in (("gretap", "-p gre"), ("vxlan", "-p udp --dport 4789")):
        got = evaluate(net(nets.text(f"hub=site0 encapsulation={encapsulation}", 2), openFirewall=True))
        assert f"iptables -A nixos-fw -i wg0 {rule} -j nixos-fw-accept\nip6tables -A nixos-fw -i wg0 {rule} " in got["firewall"]["extraCommands"]
        assert {kind.module for kind in registry.ENCAPSULATIONS[encapsulation].kinds.values()} <= set(got["modules"])
        got = evaluate(but(net(nets.text(f"hub=site0 encapsulation={encapsulation}", 2), openFirewall=True), FLUSH))
        assert got["firewall"]["extraInputRules"].startswith('iifname "wg0" ')
    assert "br_netfilter" in evaluate(net(nets.text("hub=site0 mss-clamp=iptables", 2)))["modules"]


def test_a_wire_of_its_own(evaluate):
    """Nobody here makes that WireGuard: l2wg does, in a namespace, which no unit may be kept from."""
    got = evaluate(net(nets.text("hub=site0", 2), underlay="l2w0", openFirewall=True))
    unit = got["units"]["l2wg-sites"]
    assert got["failed"] == [] and words(unit, "ExecStart")[1:] == ["up", "l2w0", "--strict"]
    assert not re.search("(?m)^(Protect|Private|Restrict|Capability)", unit) and words(unit, "BindsTo") == []
    assert "multi-user.target" in got["wantedBy"]["l2wg-sites"] and "wireguard" in got["modules"]
    assert "l2w0" not in got["firewall"]["extraCommands"] and "CAP_SYS_ADMIN" in got["watch"]["service"]
    both = evaluate(but(SITE_B, {"services.l2wg.sites": nets.text("hub=site0", 2), "services.l2wg.underlay": "l2w0"}))
    assert not re.search("(?m)^(Protect|Private|Restrict)", both["units"]["l2wg-gretap1"]), "each event brings all of the plan about"


def test_which_wireguard_it_is(evaluate):
    two = {"networking.wg-quick.interfaces.wg1": {"peers": []}}
    assert evaluate(but(net(nets.text("hub=site0", 2), underlay="wg1"), two))["failed"] == []
    (message,) = evaluate(but(net(nets.text("hub=site0", 2)), two))["failed"]
    assert "defines wg0, wg1" in message and 'cure: name one, such as underlay = "wg0"' in message
    (message,) = evaluate(but(net(nets.text("hub=site0", 2)), {"networking.wg-quick": None}))["failed"]
    assert "defines none" in message
    (message,) = evaluate(but(net(nets.text("hub=site0", 2)), {"services.l2wg.tunnels.sites": dict(SITE_B["services"]["l2wg"]["tunnels"]["gretap1"])}))["failed"]
    assert message.startswith("services.l2wg.tunnels.sites: l2wg-sites.service")


# What plain Nix refuses: the text, and how what it says of it begins, behind the option's name.
REFUSED = {
    "no net": (nets.line(0), ["there is no line of the net"]),
    "two nets": ("net hub=site0\n" + nets.text("hub=site0", 2), ["2: there is a line of the net already"]),
    "no card": (nets.text("hub=site0", 2) + "site2 mtu=1400\n", ["4: this line is neither"]),
    "a key of none": (nets.text("hub=site0", 2, lambda number: "vlan=10"), ["2: vlan cannot stand here", "3: vlan cannot stand here"]),
    "a key of the net": (nets.text("hub=site0", 1) + nets.line(1, "hub=site0"), ["3: hub cannot stand here"]),
    "no value": (nets.text("hub=site0", 1) + nets.line(1, "mtu= isolated"), ["3: mtu= is not KEY=VALUE", "3: isolated is not KEY=VALUE"]),
    "a star without a hub": (nets.text("isolated=yes", 2), ["1: a star has a hub"]),
    "a hub that is none": (nets.text("hub=hq", 2), ["1: no site is called hq"]),
    "an encapsulation that there is not": (nets.text("hub=site0 encapsulation=geneve", 2), ["1: unknown encapsulation geneve"]),
    "a name twice": (nets.text("hub=site0", 2) + nets.line(2, name="site1"), ["4: line 3 has the same name, site1"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_plain_nix_can_tell_is_refused_at_evaluation(evaluate, case):
    """As Python does, which has a Problem of the same line."""
    text, messages = REFUSED[case]
    failed = evaluate(net(text))["failed"]
    assert len(failed) == len(messages) and all("\n  cure: " in one for one in failed), failed
    said = [re.sub(r"\Aservices\.l2wg\.sites: ?", "", one) for one in failed]
    assert [one for one, wanted in zip(said, messages) if not one.startswith(wanted)] == []
    lines = {int(one.partition(":")[0]) if one[:1].isdigit() else 0 for one in said}
    assert lines <= {problem.line for problem in nets.lines(text).problems}


TWO = "hub=site0,site1 hub-address=198.18.9.1"


def test_two_hubs_are_looked_at(evaluate):
    got = evaluate(net(nets.text(TWO, 3)))
    assert got["failed"] == []
    hubs = got["hubs"]
    assert hubs["path"] == {"pathConfig": {"PathExists": "/run/l2wg.hubs", "Unit": "l2wg-hubs.timer"}, "wantedBy": ["multi-user.target"]}
    assert hubs["timer"]["OnUnitActiveSec"] == 3 and "/lib/l2wg/hubs\n" in hubs["service"] and "AF_PACKET" in hubs["service"]
    assert evaluate(net(nets.text("hub=site0", 3)))["hubs"] == {}
    both = but(net(nets.text(TWO, 3)), {"services.l2wg.tunnels.hubs": dict(SITE_B["services"]["l2wg"]["tunnels"]["gretap1"])})
    assert any("hubs: hubs is the tunnel to the two hubs" in message for message in evaluate(both)["failed"])
    (message,) = evaluate(net(nets.text(TWO.replace("site1", "hq"), 2)))["failed"]
    assert "1: no site is called hq" in message


def test_debians_look_at_two_hubs_may_do_as_much(evaluate):
    got = evaluate(net(nets.text(TWO, 3), underlay="l2w0"))["hubs"]["service"]
    debian = {line for line in (TREE / "debian/l2wg.l2wg-hubs.service").read_text().splitlines() if "=" in line and not line.startswith("#")}
    assert "CAP_SYS_ADMIN" in got, "it enters the namespace"
    for key in ("RestrictAddressFamilies", "LogLevelMax", "TimeoutStartSec", "StateDirectory", "RestrictNamespaces"):
        (line,) = [line for line in debian if line.startswith(key + "=")]
        assert line.partition("=")[2].split() == words(got, key), key


ODD = ["", "\n", "net", "net =\n", "=\n", "#\n", "L2WG1::\n", "L2WG1:A:0\n", "L2WG1:AE======\n", "net hub=\n", "L2WG1:7777777777777777:0\n", "\xe9\n", "\t\r\n"]


@pytest.mark.parametrize("text", ODD)
def test_whatever_is_in_it_it_is_no_error_of_nix(evaluate, text):
    assert evaluate(net(text))["failed"]


def test_the_mistakes_of_the_golden_file(evaluate):
    failed = evaluate(net(str(TREE / "tests/golden/sites/faults.sites")))["failed"]
    assert [one.partition(" ")[0] for one in failed] == ["services.l2wg.sites:8:"]


def test_a_copy_that_was_cut_is_refused(evaluate, tmp_path):
    (tmp_path / "net").write_text(nets.text("hub=site0", 2)[:-1])
    (message,) = evaluate(net(str(tmp_path / "net")))["failed"]
    assert message.startswith("services.l2wg.sites:3: the last line has no end")


@pytest.mark.parametrize("case", ["star-3", "star-30", "star-1000", "mesh-30", "vxlan-30", "hubs-5"])
def test_what_python_takes_nix_does(evaluate, case):
    assert evaluate(net(str(TREE / f"tests/golden/sites/{case}.sites")))["failed"] == []


def build(nix, tmp_path, text, package, fails=False):
    """The file, built as the module does, by the package."""
    config = but(net(text), {"networking.useDHCP": False})
    (tmp_path / "config.json").write_text(json.dumps(config))
    expression = (
        "let base = import %s; in (base.evaluate [ %s (builtins.fromJSON (builtins.readFile %s)) { services.l2wg.package = "
        '{ type = "derivation"; outPath = builtins.storePath "%s"; meta.mainProgram = "l2wg"; }; } ]).config.environment.etc."l2wg/sites".source'
    ) % (HERE / "stand-in", TREE / "nix/module.nix", tmp_path / "config.json", package)
    return nix.run("nix-build", "--no-out-link", "-E", expression, fails=fails)


@pytest.mark.usefixtures("nixpkgs")
def test_built_it_is_the_file_to_the_byte_and_what_is_wrong_is_told(nix, tmp_path, package, nixpkgs):
    if nixpkgs != "null":
        pytest.skip("the package that is built is Debian's")
    text = nets.text("hub=site0", 3)
    with open(build(nix, tmp_path, text, package).strip()) as file:
        assert file.read() == text
    said = build(nix, tmp_path, text + nets.line(3, "vlans=x") + nets.line(4, addresses=("198.18.0.1",)), package, fails=True)
    assert "vlans: expected a list of VLANs, not 'x'" in said and "has the same address" in said and ":5:" in said and ":6:" in said


def test_a_card_that_was_changed_is_refused_when_it_is_built(nix, tmp_path, package):
    text = nets.text("hub=site0", 2)
    said = build(nix, tmp_path, text[:-4] + ("A" if text[-4] != "A" else "B") + text[-3:], package, fails=True)
    assert "checksum is wrong" in said


def test_a_thousand_sites(evaluate, capsys):
    """Nothing here depends on how fast this machine is."""
    begin = time.monotonic()
    got = evaluate(net(nets.text("hub=site0 isolated=yes", 1000)))
    with capsys.disabled():
        print("\n1,000 sites evaluated in %.1f s" % (time.monotonic() - begin))
    assert got["failed"] == [] and len(got["networks"]["05-l2wg-sites"]["matchConfig"]["Name"].split()) == 1000
    assert list(got["units"]) == ["l2wg-sites"] and schema.KEYS


@pytest.mark.parametrize("name", ["site0", "site1", "site3"])
def test_what_sites_prints_as_nix_makes_the_files_that_it_prints(evaluate, nix, name):
    """`l2wg sites --for SITE --as nix`, evaluated, against `--as conf` of the same site."""
    text = "net hub=site0 mtu=1400\n" + nets.line(0) + nets.line(1, "bridge-ports=enp3s0,enp4s0 vlans=10,20 storm-limit=100") + nets.line(3, "key=7 isolated=yes")
    exported = [site_export.export(nets.lines(text), name, form, "wg0", nets.PATH).text for form in ("nix", "conf")]
    module = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", exported[0]))
    bridges = {} if name == "site1" else {"networking.bridges": {"br0": {"interfaces": ["enp2s0"]}}}
    got = evaluate(but(module, bridges))
    assert got["failed"] == [] and got["warnings"] == []
    files = re.split(r"(?m)^# (/etc/l2wg/\S+\.conf)$\n", exported[1])[1:]
    assert sorted(got["files"]) == [path[len("/etc/") :] for path in sorted(files[::2])]
    for path, wanted in zip(files[::2], files[1::2]):
        mine, theirs = (tunnel_file.parse(one, path, "t") for one in (got["files"][path[len("/etc/") :]], wanted))
        assert mine[1] == theirs[1] == () and mine[0]._replace(lines={}) == theirs[0]._replace(lines={})
