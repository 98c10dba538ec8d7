"""The sh scripts as text: what dash, posh and Debian policy have to say about them; and the translations."""

import re
import subprocess

import pytest
from conftest import TOP, filled

SCRIPTS = [TOP / "debian" / f"l2wg.{name}" for name in ("config", "postinst", "prerm", "postrm")]
SCRIPTS += sorted((TOP / "etc/network").glob("if-*/*"))
TEMPLATES = TOP / "debian/l2wg.templates"


def output(*argv, **options):
    return subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script(script):
    # SC1091: debconf's library is not there to be read everywhere.
    for argv in (["shellcheck", "-s", "sh", "-e", "SC1091"], ["checkbashisms", "--posix"], ["dash", "-n"], ["posh", "-n"]):
        done = output(*argv, script)
        assert (done.returncode, done.stdout) == (0, ""), argv


@pytest.mark.parametrize("script", SCRIPTS[:4], ids=lambda path: path.name)
def test_script_as_the_package_has_it(script, tmp_path):
    whole = tmp_path / script.name
    whole.write_text(filled(script))
    for argv in (["checkbashisms", "--posix"], ["dash", "-n"], ["posh", "-n"]):
        done = output(*argv, whole)
        assert (done.returncode, done.stdout) == (0, ""), argv
    assert "#include" not in whole.read_text() and not re.search(r"@[A-Z_]+@", whole.read_text())


def test_what_judges_is_in_perl_base_alone():
    """Nothing else is there when debconf asks first. -c: it says nothing but that it is right, warnings included."""
    path = TOP / "debian/judge.pl"
    base = output("dpkg", "-L", "perl-base").stdout
    modules = re.findall(r"^(?:use|no) ([\w:]+)", path.read_text(), re.M)
    assert {"Socket", "File::Glob"} <= set(modules)
    for module in modules:
        assert re.search(r"/%s\.pm$" % module.replace("::", "/"), base, re.M), module
    assert output("perl", "-wc", path).stdout == f"{path} syntax OK\n"


def questions():
    return re.findall(r"^Template: (\S+)\nType: (\S+)", TEMPLATES.read_text(), re.M)


def test_questions_of_the_issue():
    asked = {name: kind for name, kind in questions() if kind in ("string", "boolean")}
    strings = ("card", "invitation", "tunnel", "underlay", "local", "remote", "bridge", "bridge-ports", "bridge-address")
    assert asked == {
        **{f"l2wg/{name}": "string" for name in strings},
        **{f"l2wg/{name}": "boolean" for name in ("init", "move-address", "attach", "apply", "ip-forward")},
    }
    assert all(name.startswith("l2wg/invalid-") for name, kind in questions() if kind == "error")


@pytest.mark.parametrize("name, kind", questions())
def test_every_template_is_used_and_every_question_is_one(name, kind):
    text = filled()
    assert re.search(r"\b%s\b(?!-)" % re.escape(name), text)


def test_prompts_have_debians_form():
    for block in TEMPLATES.read_text().split("\n\n"):
        short = re.search(r"^_Description: (.*)", block, re.M)
        kind = re.search(r"^Type: (.*)", block, re.M).group(1) if short else ""
        if kind == "string":
            assert short.group(1).endswith(":") and len(short.group(1)) <= 50
        if kind == "boolean":
            assert short.group(1).endswith("?") and len(short.group(1)) <= 50


def test_templates_pot_is_that_of_the_templates(tmp_path):
    """After an edit of the templates: run debconf-updatepo, then translate."""
    subprocess.run(["cp", "-r", TOP / "debian", tmp_path / "debian"], check=True)
    # By root's own account, which debconf-updatepo complains about.
    subprocess.run(["debconf-updatepo"], cwd=tmp_path / "debian", check=True, stderr=subprocess.DEVNULL)
    for name in ("templates.pot", "de.po"):
        assert messages(tmp_path / "debian/po" / name) == messages(TOP / "debian/po" / name)


def messages(path):
    return [line for line in path.read_text().splitlines() if not re.match(r'#|"(POT-Creation-Date|Report-Msgid-Bugs-To)', line)]


@pytest.mark.parametrize("path", sorted((TOP / "debian/po").glob("*.po")), ids=lambda path: path.name)
def test_translation_is_complete(path):
    done = output("msgfmt", "-c", "--statistics", "-o", "/dev/null", path, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
    assert re.fullmatch(r"\d+ translated messages\.\n", done.stdout)


@pytest.mark.parametrize("path", sorted((TOP / "debian/po").glob("*.po")), ids=lambda path: path.name)
def test_translation_keeps_variables_and_commands(path):
    text = output("msgcat", "--no-wrap", path).stdout
    for there, here in re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', text, re.M):
        for thing in (r"\$\{\w+\}", r"/etc/[\w/.]+\w", r"192[\d./]+\d", r"l2wg (?:up|down|set|plan|apply)", r"%i"):
            assert sorted(re.findall(thing, here)) == sorted(re.findall(thing, there)), there
