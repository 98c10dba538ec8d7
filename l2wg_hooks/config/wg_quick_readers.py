"""Who reads /etc/wireguard/WG.conf: wg-quick(8), or wg(8) itself, which takes no key of wg-quick's.

Whatever writes into such a file asks here first: one line of wg-quick's, and `wg setconf` takes nothing of the file, so that
the next `ifup`, or boot, has no VPN. Where both may read it, it is wg(8)'s.
"""

import glob
import os
import re

from l2wg_hooks.config import device_events, ifupdown_files, ifupdown_stanzas, shell_words, wg_quick
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.system import files
from l2wg_hooks.typed import NamedTuple, Optional, Tuple

ROOT = "/"
# Units and scripts of the admin's; a package's do not know which interface this router has.
UNITS = ("etc/systemd/system", "usr/local/lib/systemd/system")
SCRIPTS = (
    "etc/rc.local", "etc/init.d/*", "etc/network/if-*.d/*", "etc/networkd-dispatcher/*/*", "etc/NetworkManager/dispatcher.d/*",
    "etc/ppp/ip-*.d/*", "usr/local/bin/*", "usr/local/sbin/*", "etc/cron.d/*", "var/spool/cron/crontabs/root",
    "etc/wireguard/*.sh",
)  # fmt: skip
NETDEVS = ("etc/systemd/network/*.netdev", "usr/local/lib/systemd/network/*.netdev", "usr/lib/systemd/network/*.netdev")
CONNECTIONS = ("etc/NetworkManager/system-connections/*",)
# No script that a person has written is larger.
LARGEST = 1 << 17
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_TAKES = ("setconf", "addconf", "syncconf")


class Reader(NamedTuple):
    """One place from which a file is read, or its interface made: `program` is wg, wg-quick, systemd-networkd or NetworkManager.

    `told` says that ifupdown brings up this very interface there, so that its own hook tells l2wg.
    """

    program: str
    path: str
    line: int
    text: str
    told: bool = False


class Answer(NamedTuple):
    """Whether a file is wg-quick(8)'s, so that it may have PostUp lines; where not, who reads it, and what is to be done instead.

    `told` says that nothing is: the hook of ifupdown does the same.
    """

    quick: bool
    why: str = ""
    hint: str = ""
    told: bool = False
    reader: Optional[Reader] = None

    def start(self, name):
        """The command that brings up the interface."""
        if self.told:
            return f"ifup {name}"
        if self.reader and self.reader.path.endswith(".service"):
            return f"systemctl start {os.path.basename(self.reader.path)}"
        return f"wg-quick up {name}" if self.quick else ""

    def problem(self, path, name, text):
        """The Problem of our lines in the file `path` that wg-quick(8) does not read; None where all is well."""
        if self.quick or wg_quick.detach(text, name) == text:
            return None
        message = f"has our PostUp and PostDown lines, and {self.why}: {name} does not come up the next time"
        return Problem(message, f"l2wg detach {name}", path, id="postup-unread")


def ask(name, text, defined=None):
    """The Answer for the file of the WireGuard interface `name`, whose text this is (None: there is none yet)."""
    found = find(name, ifupdown_files.read() if defined is None else defined)
    for reader in found:
        if reader.program == "wg":
            return Answer(False, f"wg(8) reads it ({_where(reader)})", _instead(name, reader), reader.told, reader)
    quick = any(reader.program == "wg-quick" for reader in found)
    for reader in found if not quick else ():
        if reader.program not in ("wg-quick", "wg"):
            why = f"{reader.program} makes {name} ({_where(reader)}), and reads no file of wg-quick(8)"
            return Answer(False, why, _instead(name, reader), False, reader)
    if quick or text is None or wg_quick.is_wg_quick(text, name):
        return Answer(True)
    told = any(stanza.interface == name for stanza in (ifupdown_files.read() if defined is None else defined).stanzas)
    why = "it has no key of wg-quick(8), so it is one of wg(8), whose `wg setconf` takes no PostUp"
    hint = f"if wg-quick does read it: systemctl enable wg-quick@{name}; l2wg attach {name}"
    by_udev = device_events.instead(name)
    return Answer(False, why, f"{hint}; if not, " + (by_udev or f"call `l2wg up {name}` from what brings it up"), told)


def _where(reader):
    said = "%s:%d" % (reader.path, reader.line) if reader.line else reader.path
    return f"{said}: `{reader.text}`" if reader.text else said


def _instead(name, reader):
    if reader.told:
        return "nothing needs to be put in: the hook of ifupdown does the same"
    told = device_events.instead(name)
    if reader.program == "systemd-networkd":
        call = told or f"`l2wg up {name}` from networkd-dispatcher(8), or by hand"
        return f"{call}; its peers belong into {reader.path}"
    if reader.program == "NetworkManager":
        call = told or f"`l2wg up {name}` from a script in /etc/NetworkManager/dispatcher.d"
        return f"{call}; its peers belong into that connection"
    if told:
        return told
    if reader.path.endswith((".service", ".conf")):
        return f"have l2wg called there: a line `ExecStartPost=-/usr/bin/l2wg up {name}` in its [Service] section"
    return f"have l2wg called there, once {name} is up: l2wg up {name} || :"


def find(name, defined):
    """All Readers of the file of `name`, and others who make that interface."""
    found = list(_in_interfaces(name, defined))
    for path in _units():
        for number, line in _lines(path):
            key, equals, value = line.partition("=")
            if equals and key.strip().startswith("Exec"):
                value = value.strip().lstrip("-+@!:")
                value = value.replace("%i", _instance(path) or "%i").replace("%I", _instance(path) or "%I")
                found += _read_by(name, value, path, number)
                found += [reader._replace(path=path, line=number, text=value) for reader in _called(name, value, {})]
    for path in _matching(SCRIPTS):
        found += _in_script(name, path, {})
    for link in glob.glob(os.path.join(ROOT, f"etc/systemd/system/*.*/wg-quick@{name}.service")):
        found.append(Reader("wg-quick", link, 0, ""))
    found += _managed(name)
    return found


def _in_interfaces(name, defined):
    for stanza in defined.stanzas:
        mine = stanza.interface == name
        for key, value in stanza.options:
            if key in ifupdown_stanzas.COMMANDS:
                text = re.sub(r"\$(IFACE\b|\{IFACE\})", stanza.interface, value)
                known = {"IFACE": stanza.interface}
                for reader in list(_read_by(name, text, stanza.path, stanza.line)) + list(_called(name, text, known)):
                    yield Reader(reader.program, stanza.path, stanza.line, value, mine)
            elif mine and key == "use" and {"wireguard", "wireguard-quick"} & set(value.split()):
                program = "wg" if "wireguard" in value.split() else "wg-quick"  # ifupdown-ng's executors
                yield Reader(program, stanza.path, stanza.line, "use " + value, True)
            elif mine and key == "wireguard-config-path":
                yield Reader("wg", stanza.path, stanza.line, f"{key} {value}", True)


def _called(name, text, known):
    """Readers in the scripts that a command line of sh calls, with `known` variables and the arguments that it gives them."""
    for command in shell_words.commands(text):
        at = next((index for index, word in enumerate(command.words[:3]) if word.startswith("/")), None)
        if at is not None:
            arguments = {"%d" % number: word for number, word in enumerate(command.words[at + 1 :], 1)}
            yield from _in_script(name, os.path.join(ROOT, command.words[at].lstrip("/")), dict(known, **arguments))


def _read_by(name, text, path, number):
    """Readers that a command line of sh has."""
    own = wg_quick.path(name)
    found = shell_words.commands(text)
    words = [word for command in found if command.name != "wg-quick" for word in command.words + command.sources]
    for command in found:
        if command.name == "wg" and command.words[1:2] and command.words[1] in _TAKES and own in words:
            yield Reader("wg", path, number, text)
        elif command.name == "wg-quick" and command.words[1:2] == ("up",) and command.words[2:3] in ((name,), (own,)):
            yield Reader("wg-quick", path, number, text)


def _in_script(name, path, known):
    """Readers in a script, by variables that are `known` and those that it sets; what nobody knows is no reader of this file."""
    lines = list(_lines(path))
    if not any("wg" in line for _, line in lines):
        return
    known = dict(known)
    for _, line in lines:
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)=[\"']?([^\"'\s;(`]*)[\"']?\s*(?:[;#].*)?\Z", line)
        if match and match.group(1) not in known:
            known[match.group(1)] = match.group(2)
    for number, line in lines:
        for _ in range(3):  # a variable may be made of another one
            line = _VARIABLE.sub(lambda match: known.get(match.group(1) or match.group(2), match.group()), line)
        yield from _read_by(name, line, path, number)


def _units():
    """Unit files and their drop-ins."""
    for folder in UNITS:
        for where, names, found in os.walk(os.path.join(ROOT, folder)):
            names.sort()
            yield from (os.path.join(where, name) for name in sorted(found) if name.endswith((".service", ".conf")))


def _instance(path):
    """What %i is in a unit, where its file says that: NAME of unit@NAME.service, or of its drop-ins."""
    match = re.search(r"@([^@/]+)\.service(?:\.d/[^/]*)?\Z", path)
    return match.group(1) if match else ""


def _managed(name):
    for path in _matching(NETDEVS):
        values = {key.strip().lower(): value.strip() for key, _, value in (line.partition("=") for _, line in _lines(path))}
        if values.get("kind") == "wireguard" and values.get("name") == name:
            yield Reader("systemd-networkd", path, 0, "")
    for path in _matching(CONNECTIONS):
        values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for _, line in _lines(path))}
        if values.get("type") == "wireguard" and values.get("interface-name") == name:
            yield Reader("NetworkManager", path, 0, "")


def _matching(patterns):
    for pattern in patterns:
        yield from sorted(glob.glob(os.path.join(ROOT, pattern)))


def _lines(path) -> Tuple[Tuple[int, str], ...]:
    """(number, text) of the lines of a small text file that are no comments, with those that a backslash continues as one."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > LARGEST:
            return ()
        text = files.read(path)
    except (OSError, ValueError, L2wgError):
        return ()
    if "\0" in text[:1024]:
        return ()
    found, start, whole = [], 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        start = start or number
        if line.endswith("\\"):
            whole += line[:-1] + " "
            continue
        whole += line.rstrip("\r")
        if whole.strip() and whole.lstrip()[0] not in "#;":
            found.append((start, whole))
        start, whole = 0, ""
    return tuple(found)
