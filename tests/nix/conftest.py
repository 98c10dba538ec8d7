"""The NixOS module, evaluated: by stand-ins for nixpkgs, which Debian does not have, and once more by nixpkgs if NIX_PATH has it.

Nothing here boots NixOS; nix/tests/two-sites.nix does, where there is nixpkgs to build it.
"""

import copy
import json
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
sys.path.insert(0, str(TREE))

subprocess.run([TREE / "tests/need", "nix-bin", "python3-jinja2", "python3-pip", "python3-setuptools", "python3-wheel", "systemd"], check=True)

SITE_A = {
    "networking": {
        "interfaces": {"enp2s0": {"ipv4": {"addresses": [{"address": "192.168.178.1", "prefixLength": 24}]}}},
        "wg-quick": {
            "interfaces": {
                "wg0": {
                    "address": ["10.15.14.2/24"],
                    "privateKeyFile": "/var/lib/wg0.key",
                    "peers": [{"publicKey": "PublicKeyRouterB", "allowedIPs": ["192.168.92.0/24", "10.15.14.0/24"]}],
                }
            }
        },
    },
    "services": {
        "l2wg": {
            "enable": True,
            "tunnels": {"gretap1": {"underlay": "wg0", "local": "192.168.178.1", "remote": "192.168.92.1", "bridge": "br0", "bridgePorts": ["enp3s0"]}},
        }
    },
}
SITE_B = {
    "networking": {
        "bridges": {"br0": {"interfaces": ["enp2s0"]}},
        "interfaces": {"br0": {"ipv4": {"addresses": [{"address": "192.168.92.1", "prefixLength": 24}]}}},
        "wg-quick": {
            "interfaces": {
                "wg0": {
                    "address": ["10.15.14.1/24"],
                    "privateKeyFile": "/var/lib/wg0.key",
                    "listenPort": 4900,
                    "peers": [{"publicKey": "PublicKeyRouterA", "allowedIPs": ["10.15.14.2/32", "192.168.178.0/24"]}],
                }
            }
        },
    },
    "services": {"l2wg": {"enable": True, "tunnels": {"gretap1": {"underlay": "wg0", "local": "192.168.92.1", "remote": "192.168.178.1", "bridge": "br0"}}}},
}
DEVICE_WG0 = "sys-subsystem-net-devices-wg0.device"
DEVICE_BR0 = "sys-subsystem-net-devices-br0.device"


def but(config, changes):
    """`config` with other values: {"dotted.path": value}; None takes the path out."""
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *above, last = path.split(".")
        place = config
        for name in above:
            place = place.setdefault(name, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return config


def tunnel(config, changes):
    """`config` with other values for gretap1."""
    return but(config, {"services.l2wg.tunnels.gretap1." + key: value for key, value in changes.items()})


class Nix:
    """Nix's commands, with a store of their own that needs no daemon and no network."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "NIX_STORE_DIR": str(folder / "store"),
            "NIX_STATE_DIR": str(folder / "state"),
            "NIX_LOG_DIR": str(folder / "log"),
            "NIX_CONF_DIR": str(folder / "etc"),
            # No sandbox: the package is built with Debian's Python.
            "NIX_CONFIG": "build-users-group =\nsandbox = false\nsubstituters =\nexperimental-features = nix-command flakes",
        }
        (folder / "home").mkdir()

    def run(self, *words, fails=False):
        done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment, cwd=self.folder)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def instantiate(self, file, fails=False, **arguments):
        """The value of a .nix file (or what it says where it fails): arguments are Nix expressions."""
        words = [word for key, value in arguments.items() for word in ("--arg", key, value)]
        out = self.run("nix-instantiate", "--eval", "--strict", "--json", file, *words, fails=fails)
        return out if fails else json.loads(out)


@pytest.fixture(scope="session")
def nix(tmp_path_factory):
    return Nix(tmp_path_factory.mktemp("nix"))


@pytest.fixture(scope="session")
def package(nix):
    """Where the package lies, built by a derivation on Debian's pip."""
    expression = "(import %s).pkgs.callPackage %s { }" % (HERE / "stand-in", TREE / "nix/package.nix")
    return nix.run("nix-build", "--no-out-link", "-E", expression).strip()


@pytest.fixture(scope="session", params=["stand-in", "nixpkgs"])
def nixpkgs(request):
    """Nix's word for what to evaluate with: null, or a path."""
    if request.param == "stand-in":
        return "null"
    found = subprocess.run(["nix-instantiate", "--find-file", "nixpkgs"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if found.returncode or not os.environ.get("NIX_PATH"):
        pytest.skip("NIX_PATH has no nixpkgs: the module is not evaluated with the real lib and modules of NixOS")
    return found.stdout.decode().strip()


@pytest.fixture
def evaluate(nix, nixpkgs, tmp_path):
    """Evaluate a configuration; gives what evaluate.nix gives, or what Nix says where it `fails`."""

    def run(config, fails=False, package="/opt/l2wg"):
        # nixpkgs builds the real thing, which is no more than evaluated here.
        built = "null" if package is None else json.dumps(package)
        (tmp_path / "config.json").write_text(json.dumps(config))
        return nix.instantiate(HERE / "evaluate.nix", fails, json=tmp_path / "config.json", nixpkgs=nixpkgs, package=built)

    return run
