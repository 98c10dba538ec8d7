"""Which port is free, and which bridge has a LAN behind it: Python's word on the cases that debconf's sh is fed, too."""

import sys
from pathlib import Path

import pytest
from l2wg_hooks.config import ifupdown_files
from l2wg_hooks.model import Link
from l2wg_hooks.pairing import local_facts, ports
from l2wg_hooks.system import process

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import ports as table


@pytest.fixture
def play(root, monkeypatch):
    def build(case):
        table.build(case, root)
        # `source interfaces.d/*` is Debian's own line; sh reads that folder in any case.
        main = root / "etc/network/interfaces"
        main.write_text(main.read_text() + "source interfaces.d/*\n")
        monkeypatch.setattr(process, "output", lambda *argv: case.says.get(" ".join(argv), ""))
        return ifupdown_files.read()

    return build


@pytest.mark.parametrize("name", sorted(table.PORTS))
def test_a_free_port(play, name):
    case = table.PORTS[name]
    addresses = tuple(word for word in case.addresses if not word.startswith("fe80"))
    free, used = local_facts.free_ports({"enp3s0": Link("enp3s0", 7, addresses=addresses)}, play(case))
    assert (free == ["enp3s0"]) == case.right
    assert not used or (not case.right and used["enp3s0"].startswith(("carries ", "is ")))


@pytest.mark.parametrize("name", sorted(table.BRIDGES))
def test_a_bridge_of_guests(play, name):
    case = table.BRIDGES[name]
    defined = play(case)
    links = {case.about: Link(case.about, 3, "bridge", addresses=("172.31.0.1/16",))}
    assert (ports.guests(links, defined) == set()) == case.right
    assert (local_facts.bridges(links, defined, ()) == [case.about]) == case.right
    assert (local_facts.lan("wg0", links)[0] == "172.31.0.0/16") == case.right
