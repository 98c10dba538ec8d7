"""flake.nix, with a stand-in for its input; and nix/tests/two-sites.nix, as far as it can be looked at without booting it."""

import json
import shutil

import pytest
from conftest import HERE, TREE
from test_package import copy


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
    assert set(shown["checks"]["x86_64-linux"]) == {"package", "two-sites"}
    assert {"default", "l2wg"} == set(shown["nixosModules"]) and "default" in shown["overlays"]


@pytest.mark.parametrize("old, new", [
    ("two-sites.nix", "three-sites.nix"),
    ("final: prev: { l2wg", "{ l2wg"),
    ("(packagesOf system).callPackage ./nix/package.nix { }", '"a string"'),
])  # fmt: skip
def test_a_broken_one_is_told(nix, tree, old, new):
    path = tree / "flake/flake.nix"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    check(nix, tree, fails=True)


def test_the_script_of_the_vm_test_is_python(nix):
    test = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-A", "testScript", TREE / "nix/tests/two-sites.nix"))
    compile(test, "two-sites.nix", "exec")
    names = json.loads(
        nix.run("nix-instantiate", "--eval", "--json", "-E", "builtins.attrNames (import %s).nodes" % (TREE / "nix/tests/two-sites.nix"))
    )
    assert names == ["hostB", "portA", "routerA", "routerB"] and all(name in test for name in names)


@pytest.mark.parametrize("nixpkgs", ["nixpkgs"], indirect=True)
def test_nixpkgs_makes_the_vm_test_of_it(nix, nixpkgs):
    """All four systems are evaluated, whole; none is built, none boots."""
    expression = "(import %s { system = \"x86_64-linux\"; }).testers.runNixOSTest %s" % (nixpkgs, TREE / "nix/tests/two-sites.nix")
    words = ("nix-instantiate", "--eval", "--strict", "--json", "-A")
    failed = "builtins.mapAttrs (_: one: map (a: a.message) (builtins.filter (a: !a.assertion) one.assertions)) (%s).nodes" % expression
    assert json.loads(nix.run(*words[:-1], "-E", failed)) == {name: [] for name in ("hostB", "portA", "routerA", "routerB")}
    tops = "builtins.mapAttrs (_: one: one.system.build.toplevel.drvPath) (%s).nodes" % expression
    assert len(json.loads(nix.run(*words[:-1], "-E", tops))) == 4
