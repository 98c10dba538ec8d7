"""contrib/ansible by a real ansible-core on this machine: it is built, installed, linted, and its module writes a file of sites.

What the role does to routers: tests/lab/fleet.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP), str(TOP / "tests/unit")]
import nets
from l2wg_hooks.config import card

subprocess.run([str(TOP / "tests/need"), "ansible-core", "ansible-lint"], check=True)
SOURCE = TOP / "contrib/ansible"
WORDS = """\
- hosts: all
  gather_facts: false
  vars_files: [{vars}]
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ [l2wg_words, l2wg_init_words] | to_json }}}}"
        dest: "{folder}/{{{{ inventory_hostname }}}}"
        mode: "0644"
"""
SITES = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - l2wg.l2wg.sites:
        path: {folder}/sites
        net: {{shape: star, hub: site0}}
        sites: "{{{{ given }}}}"
"""


class Control:
    """A control node with the collection: a home, and what runs there."""

    def __init__(self, home):
        self.home = home
        self.tree = home / "collections/ansible_collections/l2wg/l2wg"
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(home / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(TOP / "tests/lab/fleet"),
            "ANSIBLE_CALLBACKS_ENABLED": "recap",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "RECAP": str(home / "recap.json"),
            "NO_COLOR": "1",
        }

    def run(self, *argv, cwd=None, code=0):
        done = subprocess.run(argv, cwd=cwd or self.home, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == code, done.stdout
        return done.stdout

    def play(self, text, *words, code=0):
        """(what Ansible prints, {host: sums})."""
        (self.home / "play.yml").write_text(text)
        said = self.run("ansible-playbook", *words, "play.yml", code=code)
        return said, json.loads((self.home / "recap.json").read_text())["hosts"]


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    control = Control(tmp_path_factory.mktemp("control"))
    control.run("ansible-galaxy", "collection", "build", "--output-path", str(control.home), cwd=SOURCE)
    (archive,) = control.home.glob("l2wg-l2wg-*.tar.gz")
    control.run("ansible-galaxy", "collection", "install", "--offline", str(archive))
    return control


def test_ansible_lint_finds_nothing(control, tmp_path):
    tree = tmp_path / "ansible_collections/l2wg/l2wg"
    shutil.copytree(SOURCE, tree)
    assert "Passed with production profile: 0 failure(s), 0 warning(s)" in control.run("ansible-lint", "--nocolor", "--strict", cwd=tree)
    # Seen by what it says of a task that no longer says when it changes something.
    file = tree / "roles/l2wg/tasks/rollout.yml"
    file.write_text(file.read_text().replace("  changed_when: ansible_check_mode and l2wg_plan.rc == 2\n", ""))
    assert "no-changed-when" in control.run("ansible-lint", "--nocolor", cwd=tree, code=2)


def test_the_playbook_and_the_example_of_an_inventory(control):
    control.run("ansible-playbook", "--syntax-check", "-i", "docs/inventory.yml", "l2wg.l2wg.fleet", cwd=control.tree)


def test_it_explains_itself(control):
    assert "bridge-ports" in control.run("ansible-doc", "-t", "module", "l2wg.l2wg.sites")
    said = control.run("ansible-doc", "-t", "role", "l2wg.l2wg.l2wg")
    assert all(point in said for point in ("main", "collect", "rollout"))


def test_every_variable_is_explained(control):
    """In the specification, so in `ansible-doc`; and the defaults are the same."""
    said = json.loads(control.run("ansible-doc", "-t", "role", "--json", "l2wg.l2wg.l2wg"))["l2wg.l2wg.l2wg"]["entry_points"]
    options = said["main"]["options"]
    assert said["collect"]["options"] == options == said["rollout"]["options"]
    text = (SOURCE / "roles/l2wg/defaults/main.yml").read_text()
    lines = [line.partition(": ") for line in text.splitlines() if line.startswith("l2wg_")]
    spelled = {key: value.strip('"') for key, _, value in lines}
    assert spelled == {key: str(row["default"]).lower() if row["type"] == "bool" else str(row["default"]) for key, row in options.items() if "default" in row}
    assert all(key in text for key in options), "the others stand there as comments"


def test_the_words_of_a_line_are_the_hosts_variables(control):
    hosts = {
        "a": {"l2wg_bridge_ports": "{{ lan }}", "lan": ["enp3s0", "enp4s0"], "l2wg_isolated": True, "l2wg_endpoint": "a.example.org", "l2wg_underlay": "l2w0"},
        "b": {"l2wg_vlans": "untagged,10", "l2wg_bridge": "", "l2wg_shared": True, "l2wg_underlay": "wg0", "l2wg_address": "198.18.0.2"},
    }
    hosts["c"] = {"l2wg_underlay": "l2w0"}
    common = {"ansible_connection": "local", "l2wg_name": "{{ inventory_hostname }}", "l2wg_port": 51820}
    rows = {name: {"l2wg_shared": False, **common, **words} for name, words in hosts.items()}
    (control.home / "hosts.yml").write_text(json.dumps({"all": {"hosts": rows}}))
    control.play(WORDS.format(vars=SOURCE / "roles/l2wg/vars/main.yml", folder=control.home), "-i", "hosts.yml")
    words, argv = json.loads((control.home / "a").read_text())
    assert words == {"bridge-ports": ["enp3s0", "enp4s0"], "isolated": True}
    assert argv == "l2wg init --name a --port 51820 --endpoint a.example.org --own l2w0".split()
    words, argv = json.loads((control.home / "b").read_text())
    assert words == {"vlans": "untagged,10", "bridge": ""}
    assert argv == "l2wg init --name b --port 51820 --address 198.18.0.2 --shared wg0".split()
    assert json.loads((control.home / "c").read_text()) == [{}, "l2wg init --name c --port 51820 --own l2w0".split()]


def test_the_module_writes_what_it_says(control):
    file, play = control.home / "sites", SITES.format(folder=control.home)
    given = [{"host": f"router{number}", "name": f"site{number}", "card": card.encode(nets.site(number)), "words": {"mtu": 1400}} for number in range(3)]

    def run(*words, code=0):
        said, sums = control.play(play, "-e", json.dumps({"given": given}), *words, code=code)
        return said, sums["localhost"]["changed"]

    said, changed = run("--check", "--diff")
    assert changed == 1 and "+net shape=star hub=site0" in said and not file.exists()
    assert run()[1] == 1 and run()[1] == 0
    text = file.read_text()
    assert text == "net shape=star hub=site0\n" + "".join(f"{row['card']} mtu=1400  # {row['name']}\n" for row in given)
    # Its mode is the admin's, and a link goes on pointing at it.
    os.chmod(file, 0o640)
    file.rename(control.home / "real")
    file.symlink_to("real")
    given[:] = given[1:2]
    given[0]["words"] = {"mtu": 1300}
    assert run()[1] == 1 and file.read_text() == text.replace(f"{given[0]['card']} mtu=1400", f"{given[0]['card']} mtu=1300")
    assert file.is_symlink() and file.stat().st_mode & 0o777 == 0o640
    given[0]["name"] = "site2"
    assert "the card of router1 says that it is site1, not site2" in run(code=2)[0]
