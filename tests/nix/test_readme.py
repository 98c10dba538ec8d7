"""What README.md says to NixOS is evaluated as it stands there."""

import json
import sys
import textwrap

import pytest
from conftest import SITE_A, SITE_B, TREE

sys.path.insert(0, str(TREE / "tests/unit"))
import nets  # the tree must be found first
from l2wg_hooks.config import tunnel_file


def blocks():
    """The indented blocks of the section, without their indentation."""
    section = (TREE / "README.md").read_text().split("\n## On NixOS\n")[1].split("\n## ")[0]
    found, block = [], []
    for line in section.split("\n") + ["end"]:
        if line.startswith("    ") or (block and not line):
            block.append(line)
        elif block:
            found.append(textwrap.dedent("\n".join(block)).strip())
            block = []
    return found


@pytest.mark.parametrize("index, site", [(0, SITE_A), (1, SITE_B)], ids=["a", "b"])
def test_both_sites(evaluate, nix, index, site):
    told = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", blocks()[index]))
    got = evaluate(told)
    assert got["failed"] == [] and got["files"] == evaluate(site)["files"]
    assert "-i wg0" in got["firewall"]["extraCommands"]
    (text,) = got["files"].values()
    assert tunnel_file.parse(text, "gretap1.conf", "gretap1")[1] == ()


def test_with_and_without_flakes(nix):
    flake, imports = blocks()[2:4]
    outputs = '((%s).outputs { nixpkgs.lib.nixosSystem = one: map toString one.modules; l2wg.nixosModules.default = "module"; })' % flake
    got = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", outputs))
    assert got["nixosConfigurations"]["site-a"][0] == "module" and got["nixosConfigurations"]["site-a"][1].endswith("/site-a.nix")
    got = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", "map toString ({ %s }).imports" % imports))
    assert (TREE / got[0].partition("/l2wg/")[2]).is_file(), got


def test_a_net_of_many_sites(evaluate, nix, tmp_path):
    (tmp_path / "sites").write_text(nets.text("hub=site0", 3))
    told = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", blocks()[4].replace("./sites", f'"{tmp_path}/sites"')))
    got = evaluate(dict(told, networking=dict(told["networking"], **{"wg-quick": SITE_A["networking"]["wg-quick"]})))
    assert got["failed"] == [] and list(got["units"]) == ["l2wg-sites"]
