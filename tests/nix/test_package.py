"""nix/package.nix, built: by a derivation whose builder is /bin/sh, with Debian's Python and pip in the place of nixpkgs'."""

import configparser
import json
import pathlib
import re
import subprocess

import l2wg_hooks
from conftest import HERE, TREE


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True).stdout


def test_the_command_runs(package):
    assert run(package + "/bin/l2wg", "--version") == "l2wg %s\n" % l2wg_hooks.__version__


def test_it_runs_its_own_modules(package):
    """And not those of a checkout or of Debian's package: it says from where."""
    launcher = pathlib.Path(package + "/bin/l2wg").read_text()
    script = launcher.replace("leave(main())", "import l2wg_hooks; print(l2wg_hooks.__file__)")
    assert script != launcher
    assert run("/usr/bin/python3", "-I", "-c", script) == package + "/lib/l2wg_hooks/__init__.py\n"


def test_a_broken_tree_is_not_built(nix, tmp_path):
    """The unit tests run in the build."""
    copy(tmp_path)
    path = tmp_path / "l2wg_hooks/encapsulation/headers.py"
    path.write_text(path.read_text().replace("VLAN_TAG = 4", "VLAN_TAG = 5"))
    said = nix.run("nix-build", "--no-out-link", "-E", expression(tmp_path), fails=True)
    assert " failed, " in said


def test_the_commands_that_it_runs_are_those_of_the_package(package, nix, tmp_path):
    text = pathlib.Path(package + "/lib/l2wg_hooks/system/process.py").read_text()
    assert '"PATH": "/usr/bin:/usr/bin:/usr/bin:/usr/bin:/usr/bin:/usr/bin"' in text, "the stand-ins for six packages"
    copy(tmp_path)
    path = tmp_path / "l2wg_hooks/system/process.py"
    path.write_text(path.read_text().replace("/usr/sbin:", "/usr/local/sbin:/usr/sbin:").replace(":/bin", ":/sbin:/bin"))
    assert "system/process.py has no" in nix.run("nix-build", "--no-out-link", "-E", expression(tmp_path), fails=True)


def test_the_watch_runs_those_too(package):
    text = pathlib.Path(package + "/lib/l2wg/look").read_text()
    assert "\nPATH=%s\n" % ":".join(["/usr/bin"] * 9) in text and f'exec {package}/bin/l2wg event "$event" "$name"\n' in text
    assert f" {package}/lib/l2wg/look\n" in text and "/usr/lib/l2wg" not in text, "another version is another path"


def test_every_command_has_its_package():
    """Those that system/process.py knows packages for, but ifupdown's, of which NixOS has none, and FRR's, whose vtysh services.frr brings."""
    from l2wg_hooks.system import process

    text = (TREE / "nix/package.nix").read_text()
    wanted = set(process.PACKAGES.values()) - {"ifupdown", "frr"} | {"nftables", "iptables"}
    (tools,) = [line for line in text.splitlines() if "tools = " in line]
    assert set(tools.split("[")[1].split("]")[0].split()) == wanted


def test_what_it_is_told_of_python(nix):
    """What setup.cfg requires, and the version of the modules."""
    facts = "p: { inherit (p) version; inherit (p.meta) mainProgram; needs = map (one: one.pname) p.arguments.dependencies; }"
    got = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", "(%s) (%s)" % (facts, expression(TREE))))
    setup = configparser.ConfigParser()
    setup.read(str(TREE / "setup.cfg"))
    needs = ["python3-" + name for name in setup["options"]["install_requires"].split()]
    assert got == {"version": l2wg_hooks.__version__, "mainProgram": "l2wg", "needs": needs}


def test_who_and_where(nix):
    """As debian/control has them; and the tests that boot NixOS, for who has the package only."""
    facts = "p: { inherit (p.meta) homepage maintainers description; tests = builtins.attrNames p.tests; }"
    got = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", "(%s) (%s)" % (facts, expression(TREE))))
    control = (TREE / "debian/control").read_text()
    assert "\nMaintainer: %(name)s <%(email)s>\n" % got["maintainers"][0] in control
    assert got["homepage"].startswith("https://") and "two-sites-networkd" in got["tests"]
    setup = configparser.ConfigParser()
    setup.read(str(TREE / "setup.cfg"))
    assert got["description"] == setup["metadata"]["description"]


def test_man_pages_and_templates(package):
    for path in ("share/man/man8/l2wg.8", "share/man/man5/l2wg.conf.5", "lib/l2wg_hooks/templates/rules.j2"):
        assert (pathlib.Path(package) / path).is_file(), path


def test_device_events(package):
    """As Debian's: what udev calls, what that reads in, the unit; each finds the next one in the store."""
    rule, device, unit = (
        (pathlib.Path(package) / path).read_text() for path in ("lib/udev/rules.d/85-l2wg.rules", "lib/l2wg/device", "lib/systemd/system/l2wg-device@.service")
    )
    assert f'RUN+="{package}/lib/l2wg/device"' in rule and f". {package}/lib/l2wg/ours\n" in device
    assert f"ExecStart={package}/lib/l2wg/look device %i\n" in unit and not re.search("/usr/(bin|lib)/l2wg", rule + device + unit)
    assert (pathlib.Path(package) / "lib/l2wg/ours").is_file() and (pathlib.Path(package) / "lib/l2wg/device").stat().st_mode & 0o100
    manager = (pathlib.Path(package) / "lib/systemd/system/l2wg-manager@.service").read_text()
    assert f"ExecStart={package}/bin/l2wg event manager %i\n" in manager and "/usr/bin/l2wg" not in manager
    for name in ("device", "manager"):
        run("/usr/bin/systemd-analyze", "verify", "--man=no", f"{package}/lib/systemd/system/l2wg-{name}@.service")


def test_completion(package):
    for path in ("share/bash-completion/completions/l2wg.bash", "share/zsh/site-functions/_l2wg"):
        assert "mss-clamp" in (pathlib.Path(package) / path).read_text(), path


def copy(target):
    files = run("git", "-C", str(TREE), "ls-files", "--cached", "--others", "--exclude-standard").split("\n")
    for name in files:
        if name and (TREE / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((TREE / name).read_bytes())


def expression(tree):
    return "(import %s).pkgs.callPackage %s/nix/package.nix { }" % (HERE / "stand-in", tree)
