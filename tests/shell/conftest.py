"""What debian/l2wg.config has, run by the shells that Debian's /bin/sh may be, against a made-up router."""

import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
CONFIG = TOP / "debian/l2wg.config"
REFERENCE = TOP / "tests/lab/reference"

subprocess.run([TOP / "tests/need", "dash", "posh", "shellcheck", "devscripts", "gettext", "po-debconf"], check=True)


@lru_cache(maxsize=None)
def filled(script=CONFIG):
    """The text of a maintainer script as the package has it, by debian/fill."""
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(script, folder)
        subprocess.run(["/usr/bin/python3", "-B", TOP / "debian/fill", path], check=True)
        return Path(path).read_text()


class Router:
    """A tree with /etc and /sys of its own, and an `ip` that says what it is told to."""

    def __init__(self, path, shell):
        self.path, self.shell = path, shell
        for name in ("etc/network/interfaces.d", "etc/wireguard", "etc/l2wg", "sys/class/net", "bin"):
            (path / name).mkdir(parents=True)

    def site(self, site, interfaces="interfaces"):
        shutil.copy(REFERENCE / f"site-{site}" / interfaces, self.path / "etc/network/interfaces")
        shutil.copy(REFERENCE / f"site-{site}" / "wg0.conf", self.path / "etc/wireguard/wg0.conf")
        return self

    def port(self, name, hardware=True, **files):
        device = self.path / "sys/class/net" / name
        device.mkdir()
        (device / "type").write_text("1\n")
        if hardware:
            (device / "device").mkdir()
        for file in files:
            (device / file).mkdir()
        return self

    def ip(self, addresses="", default=""):
        """What `ip -o addr` and `ip route show default` print."""
        script = self.path / "bin/ip"
        script.write_text(
            "#!/bin/sh\n"
            "for last; do :; done\n"
            'case "$*" in\n'
            "    *' -force -batch '*) while read -r line; do case $line in link*) echo '1: lo: <UP>' ;; esac; done ;;\n"
            "    *' route show table all dev '*) ;;\n"
            f"    *route*) cat <<'E'\n{default}\nE\n    ;;\n"
            f"    *' dev '*) grep -E \"^[0-9]+: $last \" <<'E'\n{addresses}\nE\n    ;;\n"
            f"    *) cat <<'E'\n{addresses}\nE\n    ;;\n"
            "esac\nexit 0\n"
        )
        script.chmod(0o755)
        return self

    def run(self, snippet, *words, changes=()):
        """Run a piece of sh behind the functions of the config script, with those changes in it; its standard output."""
        text = filled()
        for old, new in (("\nroot=\n", f"\nroot={self.path}\n"), ("\n. /usr/share/debconf/confmodule\n", "\n"), ('\nmain "$@"\n', "\n"), *changes):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        script = self.path / "config"
        script.write_text(text + snippet)
        # Essential packages, and the made-up ip.
        (self.path / "tools").mkdir(exist_ok=True)
        for tool in ("sed", "grep", "cat", "basename", "tr", "printf", "dd", "perl"):
            if not (self.path / "tools" / tool).exists():
                (self.path / "tools" / tool).symlink_to(shutil.which(tool, path="/usr/bin:/bin"))
        done = subprocess.run(
            [f"/bin/{self.shell}", str(script), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": f"{self.path}/bin:{self.path}/tools"}, timeout=300
        )
        assert done.stderr == b"", done.stderr
        return done.stdout.decode(errors="surrogateescape")


@pytest.fixture(params=["dash", "posh"])
def router(request, tmp_path):
    return Router(tmp_path, request.param)
