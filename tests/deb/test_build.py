"""What the builds make: a .deb that lintian has nothing to say about, and a source package that builds again."""

import re
import subprocess

import pytest
from box import TOP

HOOKS = {"/etc/network/if-down.d/l2wg", "/etc/network/if-up.d/l2wg"}


def output(*argv, **options):
    return subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, text=True, check=True, **options).stdout


def depends(deb):
    """The names in Depends; of alternatives, the first."""
    field = output("dpkg-deb", "-f", deb, "Depends")
    return {re.split(r"[ :|(]", item.strip())[0] for item in field.split(",")}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The directory in which tests/deb/dsc has left the source package."""
    out = tmp_path_factory.mktemp("dsc")
    subprocess.run([TOP / "tests/deb/dsc", out], stdout=subprocess.PIPE, check=True)
    return out


def test_lintian_has_nothing_to_say(built):
    log = (built / "lintian.log").read_text()
    assert [line for line in log.splitlines() if not line.startswith("N:")] == []


def test_contents(deb):
    rows = (row.split(None, 5) for row in output("dpkg-deb", "-c", deb).splitlines())
    found = {path[1:]: f"{mode} {owner}" for mode, owner, _size, _day, _time, path in rows if not path.endswith("/")}
    python = "/usr/lib/python3/dist-packages/"
    modules = {path: mode for path, mode in found.items() if path.startswith(python)}
    have = {path[len(python) :] for path in modules if ".egg-info" not in path}
    want = {str(path.relative_to(TOP)) for path in (TOP / "l2wg_hooks").rglob("*") if path.is_file() and path.suffix in (".py", ".j2")}
    assert have == want
    assert set(modules.values()) == {"-rw-r--r-- root/root"}
    rest = "".join(f"{mode} {path}\n" for path, mode in sorted(found.items()) if path not in modules)
    assert rest == (TOP / "tests/deb/contents").read_text()


def test_conffiles_are_the_hooks_alone(deb):
    assert set(output("dpkg-deb", "-I", deb, "conffiles").split()) == HOOKS


def test_dependencies_of_the_issue(deb):
    assert depends(deb) >= {"iproute2", "wireguard-tools", "bridge-utils", "nftables", "python3", "python3-jinja2", "debconf"}
    # Who has another manager of networks is not made to have this one.
    assert "ifupdown" not in output("dpkg-deb", "-f", deb, "Depends") + output("dpkg-deb", "-f", deb, "Recommends")


@pytest.mark.long
def test_stdeb_finds_no_dependency_that_control_has_not(deb, source, tmp_path):
    """stdeb's own package, by its own debian/ and nothing of ours: what setup.cfg asks for."""
    output("dpkg-source", "--no-check", "-x", next(source.glob("*.dsc")), tmp_path / "tree", cwd=tmp_path)
    subprocess.run(["rm", "-r", tmp_path / "tree/debian"], check=True)
    subprocess.run(["cp", "-a", source / "stdeb-debian", tmp_path / "tree/debian"], check=True)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEB_BUILD_OPTIONS": "nocheck", "LC_ALL": "C.UTF-8"}
    subprocess.run(["dpkg-buildpackage", "-us", "-uc", "-b"], cwd=tmp_path / "tree", env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = depends(next(tmp_path.glob("*.deb")))
    assert "python3-jinja2" in found
    assert found <= depends(deb)


@pytest.mark.long
def test_the_source_package_builds_the_same_package(deb, source, tmp_path):
    output("dpkg-source", "--no-check", "-x", next(source.glob("*.dsc")), tmp_path / "tree", cwd=tmp_path)
    again = output(tmp_path / "tree/tests/deb/build", tmp_path / "out").split()[-1]
    listing = [output("dpkg-deb", "-c", package).splitlines() for package in (deb, again)]
    assert [names(rows) for rows in listing][0] == names(listing[1])


def names(rows):
    # A release of setuptools more or less writes another file into the egg-info.
    return sorted(row.split(None, 5)[5] for row in rows if ".egg-info/" not in row)


def test_versions_agree():
    version = re.search(r'__version__ = "(.*)"', (TOP / "l2wg_hooks/__init__.py").read_text()).group(1)
    assert (TOP / "debian/changelog").read_text().startswith(f"l2wg ({version}-")
