"""flake.nix, with a stand-in for its input; and nix/tests, as far as they can be looked at without booting them."""

import json
import shutil

import pytest
from conftest import HERE, TREE
from test_package import copy

VARIANTS = [
    "two-sites", "two-sites-ipv6", "two-sites-networkd", "two-sites-vxlan", "two-sites-vxlan-ipv6-networkd", "two-sites-wireguard",
]  # fmt: skip
NODES = ["hostB", "portA", "routerA", "routerB"]
TESTS = "(import %s/nix/tests)" % TREE


@pytest.fixture
def tree(tmp_path):
    """A copy that is no git repository, so that Nix takes it as it is."""
    copy(tmp_path / "flake")
    shutil.copytree(str(HERE / "stand-in"), str(tmp_path / "nixpkgs"))
    return tmp_path


def check(nix, tree, fails=False):
    override = ("--override-input", "nixpkgs", "path:%s" % (tree / "nixpkgs"), "--no-write-lock-file")
    return nix.run("nix", "flake", "check", "--offline", "--no-build", "path:%s" % (tree / "flake"), *override, fails=fails)


def test_its_shape(nix, tree):
    check(nix, tree)
    override = ("--override-input", "nixpkgs", "path:%s" % (tree / "nixpkgs"), "--no-write-lock-file")
    shown = json.loads(nix.run("nix", "flake", "show", "--offline", "--json", "path:%s" % (tree / "flake"), *override))
    systems = {"x86_64-linux", "aarch64-linux"}
    assert sorted(shown) == ["checks", "nixosModules", "overlays", "packages"]
    assert set(shown["packages"]) == set(shown["checks"]) == systems
    assert set(shown["packages"]["x86_64-linux"]) == {"default", "l2wg"}
    assert set(shown["checks"]["x86_64-linux"]) == {"package", *VARIANTS}
    assert {"default", "l2wg"} == set(shown["nixosModules"]) and "default" in shown["overlays"]


@pytest.mark.parametrize("old, new", [
    ("package.tests", "package.test"),
    ("final: prev: { l2wg", "{ l2wg"),
    ("(packagesOf system).callPackage ./nix/package.nix { }", '"a string"'),
])  # fmt: skip
def test_a_broken_one_is_told(nix, tree, old, new):
    path = tree / "flake/flake.nix"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    check(nix, tree, fails=True)


def evaluated(nix, expression):
    return json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", expression))


def test_every_variant_is_here(nix):
    assert evaluated(nix, "builtins.attrNames %s" % TESTS) == VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_scripts_of_the_vm_tests_are_python(nix, variant):
    script = evaluated(nix, "%s.%s.testScript" % (TESTS, variant))
    compile(script, variant, "exec")
    assert evaluated(nix, "builtins.attrNames %s.%s.nodes" % (TESTS, variant)) == NODES and all(name in script for name in NODES)
    maker = {"two-sites-wireguard": "wireguard-wg0.service"}.get(variant, "systemd-networkd.service" if "networkd" in variant else "wg-quick-wg0.service")
    assert '"%s"' % maker in script and ("br0-netdev" in script) is ("networkd" not in variant)


@pytest.mark.parametrize("site", ["routerA", "routerB"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_routers_of_the_vm_tests_are_right(nix, tmp_path, variant, site):
    """With the stand-in: what this module says of them, and that they are what their name says."""
    (tmp_path / "config.json").write_text("{}")
    got = nix.instantiate(HERE / "evaluate.nix", json=tmp_path / "config.json", package='"/opt/l2wg"', imports="[ %s.%s.nodes.%s ]" % (TESTS, variant, site))
    assert (got["failed"], got["warnings"], list(got["units"])) == ([], [], ["l2wg-gretap1"])
    (text,) = got["files"].values()
    assert ("encapsulation  = vxlan" in text) is ("vxlan" in variant) and ("fd00:" in text) is ("ipv6" in variant)
    after = got["units"]["l2wg-gretap1"].split("After=")[1].split("\n")[0]
    assert ("wireguard-wg0.service" in after) is (variant == "two-sites-wireguard")
    assert ("br0-netdev.service" in after) is ("networkd" not in variant)


@pytest.mark.parametrize("nixpkgs", ["nixpkgs"], indirect=True)
@pytest.mark.parametrize("variant", VARIANTS)
def test_nixpkgs_makes_the_vm_test_of_it(nix, nixpkgs, variant):
    """All four systems are evaluated, whole; none is built, none boots."""
    expression = '(import %s { system = "x86_64-linux"; }).testers.runNixOSTest %s.%s' % (nixpkgs, TESTS, variant)
    failed = "builtins.mapAttrs (_: one: map (a: a.message) (builtins.filter (a: !a.assertion) one.assertions)) (%s).nodes" % expression
    assert evaluated(nix, failed) == {name: [] for name in NODES}
    told = 'builtins.mapAttrs (_: one: builtins.filter (text: builtins.match "services.l2wg.*" text != null) one.warnings) (%s).nodes' % expression
    assert evaluated(nix, told) == {name: [] for name in NODES}
    tops = "builtins.mapAttrs (_: one: one.system.build.toplevel.drvPath) (%s).nodes" % expression
    assert len(evaluated(nix, tops)) == 4
