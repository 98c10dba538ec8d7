"""The module as a module: imported by whom and however often it may be."""

import json

import pytest
from conftest import HERE, SITE_A, TREE
from test_package import copy

FILE = "%s/nix/module.nix" % TREE
FLAKE = "((import %s/flake.nix).outputs { self = { }; nixpkgs = { }; }).nixosModules.default" % TREE
# A flake's outputs are a value: two modules that import it do not import one path.
TWICE = {
    "once": [FILE],
    "the file by two modules": ["{ imports = [ %s ]; }" % FILE, "{ imports = [ %s ]; }" % FILE],
    "the flake by two modules": ["{ imports = [ %s ]; }" % FLAKE, "{ imports = [ %s ]; }" % FLAKE],
    "the flake and the file": [FLAKE, FILE],
    "an imported function twice": ["(import %s)" % FILE, "(import %s)" % FILE],
}


@pytest.fixture
def with_imports(nix, nixpkgs, tmp_path):
    def run(imports, fails=False):
        (tmp_path / "config.json").write_text(json.dumps(SITE_A))
        return nix.instantiate(HERE / "evaluate.nix", fails, json=tmp_path / "config.json", nixpkgs=nixpkgs, package='"/opt/l2wg"', imports="[ %s ]" % " ".join(imports))

    return run


@pytest.mark.parametrize("case", TWICE)
def test_it_is_one_module(with_imports, case):
    got = with_imports(TWICE[case])
    assert (got["failed"], list(got["units"]), got["bridges"]) == ([], ["l2wg-gretap1"], {"br0": ["enp3s0"]})


def test_it_is_one_module_in_two_copies(with_imports, tmp_path):
    """A checkout in /etc/nixos, and the flake's copy in the store."""
    copy(tmp_path / "other")
    assert list(with_imports([FILE, "%s/nix/module.nix" % (tmp_path / "other")])["units"]) == ["l2wg-gretap1"]


def test_two_modules_of_one_option_are_told(with_imports, tmp_path):
    """What the tests above would say, if it were not one."""
    copy(tmp_path / "other")
    path = tmp_path / "other/nix/module.nix"
    text = path.read_text()
    assert 'key = "l2wg: services.l2wg";' in text
    path.write_text(text.replace('key = "l2wg: services.l2wg";', 'key = "another";'))
    assert "already declared" in with_imports([FILE, str(path)], fails=True)


def test_the_flakes_is_a_path(nix):
    got = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", "builtins.typeOf (builtins.head (%s).imports)" % FLAKE))
    assert got == "path"
