"""Entries of the journal: named fields for systemd-journald, plain lines where another syslog daemon listens.

It never raises and never waits: who cannot take an entry goes without it. Only who has something to tell pays for it.
"""

import os

from l2wg_hooks.errors import lines as lines_of
from l2wg_hooks.system import files

# systemd.io/JOURNAL_NATIVE_PROTOCOL; and syslog's own socket, RFC 3164.
NATIVE = "/run/systemd/journal/socket"
SYSLOG = "/dev/log"
CGROUP = "/proc/self/cgroup"
IDENTIFIER = "l2wg"
# Severities of RFC 3164, and its facility for daemons.
ERROR, NOTICE, INFO, DEBUG = 3, 5, 6, 7
DAEMON = 3
# MESSAGE_ID of all that is wrong, for those who want to be alarmed by it.
PROBLEM = "e1d11338f5f84ba9b6fb1b4f571a93ef"
# Bytes of one value. A few of them fit a datagram: net.core.wmem_default is 212992.
LONGEST = 32768


def encode(fields) -> bytes:
    """An entry of `fields`, pairs of key and text, as journald takes it. Pure."""
    return b"".join(_field(key, _bytes(value)) for key, value in fields)


def _field(key, data):
    if b"\n" in data:
        return key.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return key.encode() + b"=" + data + b"\n"


def _bytes(text):
    """UTF-8 without control characters: with those, or with the odd bytes of a file's name, journalctl shows a blob."""
    data = lines_of(text).encode("utf-8", "backslashreplace")
    return data if len(data) <= LONGEST else data[: LONGEST - 3].decode("utf-8", "ignore").encode() + b"..."


def lines(fields, stamp, pid):
    """The same for a syslog daemon that knows no fields: a datagram a line, the commands at severity DEBUG. Pure."""
    known = dict(fields)
    told = [(known["PRIORITY"], text) for text in known["MESSAGE"].split("\n")]
    told += [(DEBUG, text) for text in known.get("L2WG_COMMANDS", "").split("\n") if text]
    for severity, text in told:
        yield b"<%d>%s %s[%d]: %s" % (DAEMON * 8 + int(severity), stamp.encode(), IDENTIFIER.encode(), pid, _bytes(text))


def send(message, severity=INFO, more=()):
    """Leave one entry: `message`, and `more` fields as pairs of key and text."""
    if not (os.path.exists(NATIVE) or os.path.exists(SYSLOG)):
        return
    import time

    from l2wg_hooks.system import raw_socket

    fields = [("MESSAGE", message), ("PRIORITY", str(severity))]
    fields += [("SYSLOG_IDENTIFIER", IDENTIFIER), ("SYSLOG_FACILITY", str(DAEMON))] + list(more)
    if is_stderr():
        # What is not printed then has to be among the unit's lines. journald finds out by itself, unless we end before it looks.
        fields += [("OBJECT_SYSTEMD_UNIT", unit) for unit in [_unit()] if unit]
    try:
        with raw_socket.Socket(raw_socket.AF_UNIX, raw_socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            try:
                out.sendto(encode(fields), NATIVE)
            except (FileNotFoundError, ConnectionRefusedError):
                for line in lines(fields, time.strftime("%b %e %H:%M:%S"), os.getpid()):
                    out.sendto(line, SYSLOG)
    except OSError:
        pass


def _unit():
    """The service that we are part of; "" where there is none."""
    rows = [row.split(":", 2) for row in files.glance(CGROUP).splitlines()]
    names = [row[2].rpartition("/")[2] for row in rows if len(row) == 3 and row[1] in ("", "name=systemd")]
    return next((name for name in names if name.endswith(".service")), "")


def is_stderr():
    """Whether what we print ends up in the journal anyhow: JOURNAL_STREAM of systemd.exec(5)."""
    try:
        there = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == "%d:%d" % (there.st_dev, there.st_ino) and os.path.exists(NATIVE)
