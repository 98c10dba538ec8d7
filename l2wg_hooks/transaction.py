"""What `l2wg apply` changes, whole or not at all: saved before the first change, undone unless it is committed.

The state is one file, /var/lib/l2wg/transaction. While it is there, a change is under way or waits for `l2wg confirm`, and
whoever finds it can undo it: apply itself, a systemd timer that is armed before the first change, or, files only, the next boot.
"""

import json
import os
import re
import signal
import stat
import sys
import time
from typing import NamedTuple

from l2wg_hooks import files, guard, hook, layer3, links, log, mentions, merge, peers, plan, record, run, silence, sysctls
from l2wg_hooks import undo, wgconf, wgpeer, wish
from l2wg_hooks.errors import L2wgError, Problem, fail

DIRECTORY = "/var/lib/l2wg"
OPEN = os.path.join(DIRECTORY, "transaction")
# The last one that was committed, for `l2wg rollback`.
LAST = os.path.join(DIRECTORY, "last")
# The wish as it was applied last: {tunnel: text of its file}.
APPLIED = os.path.join(DIRECTORY, "applied")
# When a change was undone that nobody had asked to undo, and why; until the next one is kept.
UNDONE = os.path.join(DIRECTORY, "undone")
# Files that somebody had edited when they were put back, as they were then.
REJECTED_FILES = os.path.join(DIRECTORY, "rejected")
REJECTED = ".rejected"
# A definition for ifupdown's books only: it makes and takes down nothing.
BOOKS = "/run/l2wg.interfaces"
# ifupdown2 keeps no such books: it looks what is there, and would take away what a definition does not have.
IFUPDOWN2 = "/usr/share/ifupdown2"
UNIT = "l2wg-rollback"
# Seconds after which an apply that was killed half-way is undone. Each command may take run.PATIENCE.
DEADMAN = 180
# Which files of the wish a rollback leaves alone.
NONE, NEW, ALL = "none", "new", "all"
# Seconds that an apply gets to stop by itself.
GRACE = 30


class Saved(NamedTuple):
    """A transaction as it is on disk.

    `old` and `new` are {path: text or None} before and after; `wished` is the wish that it applies, `applied` the one
    before it, both {tunnel: text}; `names` are the interfaces that it is about, `others` those that nobody may lose an
    address or a route of by it; `shown` and `routes` are what ip(8) said of all; `peers` are rows of a WireGuard interface
    and a peers.Peer that is changed, as it was; `ways` are the words of routes that are added. `brought`
    says that the wish came with the change (`l2wg pair`), and was not somebody's edit before. `lost` are the words of
    routes that are taken away. `switches` is {bridge: what silence.read told of it};
    `sysctls` are rows of a bridge, a folder, a name and a value, as they were before it got a port's.
    """

    boot: str
    pid: int
    waiting: bool
    names: list
    others: list
    old: dict
    modes: dict
    new: dict
    wished: dict
    applied: dict
    shown: str
    routes: dict
    peers: tuple = ()
    ways: tuple = ()
    brought: bool = False
    switches: dict = {}
    sysctls: tuple = ()
    lost: tuple = ()


def _boot():
    """What tells one boot from another; nothing where there is no /proc, as in a chroot that never boots."""
    return files.glance("/proc/sys/kernel/random/boot_id").strip()


def _load(path):
    """The Saved in a file; None where there is none."""
    text = files.text(path, None, files.OURS)
    if text is None:
        return None
    try:
        return _saved(text)
    except (ValueError, L2wgError) as error:
        why = error.problems[0].message if isinstance(error, L2wgError) else error
        at = re.search(r"line ([0-9]+) column", str(error))
        hint = "look at it; delete it to forget that change: rm %s" % path
        return fail("cannot be understood: %s" % why, hint, path=path, line=int(at.group(1)) if at else 1)


def _saved(text):
    """The Saved of a file's text. Raises Unfit, or L2wgError where ip(8) has not said what is in it."""
    found = record.load(text)
    # One of an older version has not the fields that came later, which have defaults.
    needed = set(Saved._fields) - set(Saved._field_defaults)
    if not isinstance(found, dict) or not needed <= set(found) <= set(Saved._fields):
        raise record.Unfit("it has not %s" % ", ".join(Saved._fields))
    saved = Saved(**found)
    kinds = {str: (saved.boot, saved.shown), int: (saved.pid,), bool: (saved.waiting,), list: (saved.names, saved.others)}
    kinds[dict] = (saved.old, saved.modes, saved.new, saved.wished, saved.applied, saved.routes)
    if any(type(value) is not kind for kind, values in kinds.items() for value in values):
        raise record.Unfit("a value in it is of another kind than ours")
    for key in ("names", "others"):
        for name in getattr(saved, key):
            record.name({key: name}, key)
    for path, text in list(saved.old.items()) + list(saved.new.items()):
        if not path.startswith("/") or "\0" in path or text is not None and not _is_text(text):
            raise record.Unfit("%s in it is no file" % ascii(path[:60]))
    for path, text in saved.old.items():
        if text is not None and record.number(saved.modes, path, None, 0o7777) is None:
            raise record.Unfit("%s has no mode" % ascii(path[:60]))
    if not all(_is_wish(one) for one in (saved.wished, saved.applied)) or not all(_is_text(one) for one in saved.routes.values()):
        raise record.Unfit("a text in it is none")
    ways = (saved.ways, saved.lost)
    if not isinstance(saved.brought, bool) or not all(_is_list(some) and all(map(_are_words, some)) for some in ways):
        raise record.Unfit("a value in it is of another kind than ours")
    if not _are_switches(saved.switches):
        raise record.Unfit("a switch in it is none")
    if not _is_list(saved.sysctls) or not all(_are_words(row) and len(row) == 4 for row in saved.sysctls):
        raise record.Unfit("a value in it is of another kind than ours")
    if not _is_list(saved.peers) or not all(_is_list(row) and _is_peer(*row) for row in saved.peers):
        raise record.Unfit("a peer in it is none")
    links.parse(saved.shown)
    layer3.parse(saved.shown, saved.routes)
    return saved


def _is_list(value):
    return isinstance(value, (list, tuple))


def _are_words(value):
    return _is_list(value) and all(_is_text(word) and "\0" not in word for word in value)


def _is_peer(*row):
    """Whether a row is an interface's name and what peers.Peer has."""
    if len(row) != 1 + len(peers.Peer._fields):
        return False
    peer = peers.Peer(*row[1:])
    numbers = (peer.handshake, peer.received, peer.sent, peer.keepalive or 0)
    return _are_words((row[0], peer.key, peer.endpoint)) and _are_words(peer.allowed) and all(type(one) is int for one in numbers)


def _are_switches(value):
    """Whether a value is {bridge: {switch: number}}, with the switches of silence.py."""
    known = set(silence.SILENT) | set(silence.OWN)
    if not isinstance(value, dict) or not all(isinstance(one, dict) and set(one) <= known for one in value.values()):
        return False
    for name in value:
        record.name({name: name}, name)
    return all(isinstance(word, str) and re.match(r"-?[0-9]{1,9}\Z", word) for one in value.values() for word in one.values())


def _is_text(value):
    """Whether a value is what files.read can have read: bytes that are no UTF-8 are surrogates from U+DC80 on."""
    return isinstance(value, str) and not re.search("[\ud800-\udc7f\udd00-\udfff]", value)


def _is_wish(value):
    """Whether a value is {tunnel: text of its file}."""
    return isinstance(value, dict) and all(
        name and not re.search("[/\0]", name) and _is_text(name) and _is_text(text) for name, text in value.items()
    )


def _store(path, content):
    text = json.dumps(content, indent=1)
    if len(text) > files.OURS:
        # What is not read again would be no way back.
        message = "what is to be saved has %d MiB, and no more than %d are read" % (len(text) >> 20, files.OURS >> 20)
        fail(message, "are there so many links or routes? ip route show table all | wc -l", path=path)
    os.makedirs(DIRECTORY, mode=0o755, exist_ok=True)
    files.write(path, text, 0o600)


def _unsecret(path):
    """A file's text, without the keys of a wg-quick file: they are in that file only."""
    text = files.text(path, None)
    return text if text is None else _masked(path, text)


def _masked(path, text):
    return wgpeer.masked(text) if os.path.dirname(path) == wgconf.DIRECTORY else text


def pending():
    """Whether a change is under way, or waits to be confirmed."""
    return os.path.exists(OPEN)


def waits():
    """Whether a change waits to be confirmed."""
    saved = _load(OPEN)
    return saved is not None and saved.waiting


def undone():
    """What rollback would take back: ({path: (text now, text then)}, steps for the kernel). Nothing is changed.

    Raises L2wgError where there is nothing to undo.
    """
    _, saved, then, others = _change()
    before = dict(saved.old, **{wish.path(name): text for name, text in saved.applied.items()})
    before.update({wish.path(name): None for name in wish.texts() if name not in saved.applied})
    texts = {one: (_unsecret(one) or "", text or "") for one, text in before.items() if one != guard.STATIC}
    steps = undo.steps(then, picture(saved.names + others)[0], saved.names, others)
    return {one: sides for one, sides in texts.items() if sides[0] != sides[1]}, steps


def _change():
    """What rollback undoes: (its file, Saved, the Picture of then, the names of `others` that count).

    Raises L2wgError where there is nothing to undo.
    """
    path = OPEN if pending() else LAST
    saved = _load(path)
    if saved is None:
        fail("there is nothing to undo", "no `l2wg apply` has changed anything here")
    then = undo.Picture(links.parse(saved.shown), layer3.parse(saved.shown, saved.routes))
    # Of the last one, long ago perhaps, only what it was about.
    return path, saved, then, saved.others if path == OPEN else []


def clear():
    """Make way for the next one: undo what an apply that was killed has left, but for the wish. The caller holds lock.changing.

    Raises L2wgError while there is a change that nobody has confirmed, and where not all can be undone.
    """
    saved = _load(OPEN)
    if saved is None:
        return
    if saved.waiting:
        fail("the last `l2wg apply` still waits for its confirmation", "l2wg confirm keeps it, l2wg rollback undoes it")
    keep = NONE if saved.brought else ALL
    problems = rollback("the last `l2wg apply` did not come to its end", keep=keep, alarm=True)
    if problems:
        raise L2wgError(*problems)


def applied():
    """{tunnel: text} of the wish that was applied last. Where nobody can tell, that is today's: none of its files is to go."""
    try:
        text = files.text(APPLIED, None, files.OURS)
        if text is None:
            return {}
        found = record.load(text)
        if not _is_wish(found):
            raise record.Unfit("it has not {tunnel: text of its file}")
        return found
    except record.Unfit as error:
        hint = "what is in %s now counts as applied; rm %s" % (wish.DIRECTORY, APPLIED)
        log.complain([Problem("cannot be understood: %s" % error, hint, APPLIED, 1)])
    except L2wgError as error:
        log.complain(error.problems)
    return wish.texts()


def standing(replaced=None):
    """The Wish of all files as wish.load gives it, steady where one is no use."""
    wished = wish.load(replaced)
    return wish.steady(wished, applied()) if wished.broken else wished


def picture(names):
    """(undo.Picture of now, what ip(8) said: addresses, {name: routes})."""
    shown = run.run(run.OBSERVE).out
    routes = {}
    for name in names:
        found = [run.run(("ip", family, "route", "show", "table", "all", "dev", name)) for family in ("-4", "-6")]
        # Without a gateway nothing in the line of a default route says which family it is of.
        found[1] = found[1]._replace(out=re.sub("^default ", "::/0 ", found[1].out, flags=re.M))
        routes[name] = "".join(one.out for one in found if one.code == 0)
    return undo.Picture(links.parse(shown), layer3.parse(shown, routes)), shown, routes


def begin(names, others, paths, seconds=0, wished=None, changed=(), ways=(), texts=(), had=(), lost=()):
    """Save the interfaces `names` and `others`, the files `paths` and the wish, and arm the timer: `seconds`, or DEADMAN where 0.

    `texts` is {path: text} of what is about to be written: who is killed half-way can tell it from somebody's edit.
    `wished` is the wish that is about to be written, where that is not what the files say; `changed`, `ways`, `had`
    and `lost` are peers, ways, sysctls and lost of Saved.
    Raises L2wgError, with nothing changed, where that cannot be done.
    """
    if seconds and not timed():
        fail("there is no systemd here to undo it in time", "run it without --confirm; `l2wg rollback` undoes it by hand")
    known, shown, routes = picture(names + others)
    switches = {name: silence.read(name) for name in names if name in known.links and known.links[name].kind == "bridge"}
    paths = sorted(set(paths) | {guard.STATIC})
    old = {path: _unsecret(path) for path in paths}
    modes = {path: os.stat(path).st_mode & 0o7777 for path in paths if old[path] is not None}
    # Who brings the new wish along leaves that of others alone, applied or not: it is what there was before.
    written = wish.texts()
    brought = wished is not None
    wished, before = (wished, written) if brought else (written, applied())
    now = (_boot(), os.getpid(), False, names, others)
    new = {path: _masked(path, text) or None for path, text in dict(texts).items()}
    saved = Saved(*now, old, modes, new, wished, before, shown, routes, changed, ways, brought, switches, had, lost)
    _store(OPEN, saved._asdict())
    try:
        _arm(seconds or DEADMAN, must=bool(seconds))
    except L2wgError:
        files.remove(OPEN)
        raise


def commit():
    """What was changed stays."""
    saved = _load(OPEN)
    _store(APPLIED, saved.wished)
    _store(LAST, saved._replace(new={path: _unsecret(path) for path in saved.old}, waiting=False)._asdict())
    files.remove(OPEN)
    files.remove(UNDONE)
    _disarm()


def wait(seconds):
    """What was changed stays if it is confirmed within so many seconds from now."""
    saved = _load(OPEN)
    _store(OPEN, saved._replace(new={path: _unsecret(path) for path in saved.old}, waiting=True)._asdict())
    _arm(seconds, must=True)
    log.did("now confirm it: l2wg confirm. Otherwise all of it is undone in %d s" % seconds)


def confirm():
    """Keep what waits for confirmation."""
    saved = _load(OPEN)
    if saved is None or not saved.waiting:
        fail("nothing waits for a confirmation", "it may have been undone already: journalctl -t l2wg")
    commit()
    log.did("confirmed")


def rollback(reason, keep=NONE, alarm=False):
    """Undo the change that is under way or, where there is none, the last one; the Problems of that.

    `keep` says which files in /etc/l2wg stay as they are, for their admin to mend: NONE, those of NEW tunnels, or ALL.
    `alarm` where nobody has asked for it, nor was told why.
    """
    path, saved, before, others = _change()
    (log.alarm if alarm else log.did)("undoing: %s" % reason)
    known = _put_back(saved, keep)
    serve([path for path in saved.old if saved.old[path] != saved.new.get(path)])
    _switch_back(saved.switches)
    now = picture(saved.names + others)[0]
    for words in saved.ways:
        run.run(("ip", "route", "delete") + tuple(words))  # it may have gone with its interface
    problems = tuple(problem for name, *one in saved.peers for problem in peers.put_back(name, peers.Peer(*one)))
    problems += run.apply(undo.steps(before, now, saved.names, others))
    for words in saved.lost:
        run.run(("ip", "route", "add") + tuple(words))  # it may be there by the pictures, or its interface may be gone
    for name, folder, key, value in saved.sysctls:
        run.run(sysctls.words(name, {(folder, key): value}))
    for name in saved.names:
        if name not in before.links and name in now.links and now.links[name].kind == "bridge":
            _forget(name)
    problems += hook.bring(only=known)
    if problems:
        return problems + (Problem("not all could be undone", "mend that, then: l2wg rollback"),)
    files.remove(path)
    _disarm()
    log.did("undone: all is as it was before")
    if alarm:
        _note(reason)
    return ()


def _note(reason):
    """Leave a note of what nobody has asked for: whoever comes next may wonder where the change has gone."""
    try:
        _store(UNDONE, {"time": int(time.time()), "reason": reason})
    except L2wgError as error:  # all else is done
        log.complain(error.problems)


def unasked():
    """(seconds since the epoch, reason) of the last change if it was undone without anybody asking; None where it was not."""
    try:
        found = record.load(files.text(UNDONE) or "{}")
        return (found["time"], found["reason"]) if isinstance(found["time"], int) and isinstance(found["reason"], str) else None
    except (record.Unfit, L2wgError, KeyError, TypeError):
        return None


def recover():
    """At boot, before any interface: put back the files of a change that nobody has confirmed before the machine went down."""
    saved = _load(OPEN)
    if saved is None or saved.boot == _boot():
        return
    reason = "the machine went down before the last change was confirmed"
    log.alarm("%s: its files are put back" % reason)
    _put_back(saved, NONE)
    files.remove(OPEN)
    _note(reason)


def _put_back(saved, keep):
    """Files and wish as they were; the names of the tunnels that are wished for then."""
    for path, text in saved.old.items():
        now = _found(path)
        if now == text:
            continue
        edited = now is not None and path in saved.new and now != saved.new[path]
        whole = kept = merge.back(now, saved.new[path] or "", text) if edited and text is not None else None
        if kept is None:
            whole = text
        if text is not None and os.path.dirname(path) == wgconf.DIRECTORY:
            whole = wgpeer.unmasked(whole, files.text(path, None) or "")
            if whole is None:
                log.complain([Problem("has other keys than it had: it stays as it is", "look at its [Peer] sections", path)])
                continue
        if edited and kept is None:
            _keep(path, now)
        if text is None:
            files.remove(path)
        else:
            files.write(path, whole, saved.modes[path])
        log.did("%s: as it was%s" % (path, "" if kept is None else ", but for what somebody has changed since"))
    there = wish.texts()
    for name, now in there.items():
        if now != saved.applied.get(name) and not (keep == NEW and name not in saved.applied or keep == ALL):
            # The admin's own lines: beside, where nothing reads them.
            files.write(wish.path(name) + REJECTED, now, os.stat(wish.path(name)).st_mode & 0o777)
            if name not in saved.applied:
                files.remove(wish.path(name))
            log.did("%s: set aside as %s%s" % (wish.path(name), name, wish.SUFFIX + REJECTED))
    for name, text in saved.applied.items() if keep != ALL else ():
        if name not in there:
            _reject(wish.path(name))
        if there.get(name) != text:
            files.write(wish.path(name), text)
    _store(APPLIED, saved.applied)
    return sorted(saved.applied)


def _switch_back(switches):
    """Give bridges their switches back, before their addresses: some need IPv6, which may be one of them."""
    for name, values in switches.items():
        now = silence.read(name)
        other = {switch: value for switch, value in values.items() if now.get(switch, value) != value}
        if other:
            log.complain(run.apply((plan.Step(silence.command(name, other), "as it was", name),)))


def _found(path):
    """What is to be put back is there as this text now, None where it is not; a named pipe or such goes, since it has none."""
    try:
        return _unsecret(path)
    except L2wgError as error:
        info = os.lstat(path)
        if stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode) or stat.S_ISLNK(info.st_mode):
            raise
        log.complain(error.problems)
        files.remove(path)
        log.did("%s: was %s, which is deleted" % (path, files.kind(info)))
        return None


def _reject(path):
    """Set aside what stands in the place of a tunnel's file and cannot be read."""
    try:
        os.rename(path, path + REJECTED)
    except FileNotFoundError:
        return
    except OSError as error:
        fail("cannot be set aside: %s" % error.strerror, "mv %s %s" % (path, path + REJECTED), path=path)
    log.did("%s: set aside as %s" % (path, os.path.basename(path) + REJECTED))


def serve(paths):
    """Have dnsmasq read our file again, if that is among those that have changed. It may not be there, or not be systemd's."""
    if mentions.DNSMASQ in paths and timed():
        argv = ("systemctl", "try-restart", "dnsmasq.service")
        run.show(argv)
        run.run(argv)


def _keep(path, text):
    """Keep what somebody has written since we did."""
    os.makedirs(REJECTED_FILES, mode=0o700, exist_ok=True)
    copy = os.path.join(REJECTED_FILES, path.strip("/").replace("/", "_"))
    files.write(copy, text, 0o600)
    log.complain([Problem("was edited meanwhile; it is put back", "what was in it is kept: %s" % copy, path)])


def enter(bridge, options=()):
    """Tell ifupdown that `bridge`, which we have made, is up, without having it do anything but its hooks. Problems of that."""
    lines = "".join("    %s %s\n" % option for option in options if option[0].startswith("dns-"))
    return _books("ifup", bridge, lines)


def _forget(bridge):
    """Tell ifupdown that `bridge` is gone."""
    _books("ifdown", bridge, "")


def _books(command, bridge, lines):
    if os.path.isdir(IFUPDOWN2):
        return ()
    files.write(BOOKS, "iface %s inet manual\n%s" % (bridge, lines))
    try:
        result = run.run((command, "--force", "--interfaces", BOOKS, bridge))
    except L2wgError as error:
        return error.problems
    finally:
        files.remove(BOOKS)
    for line in result.err.splitlines():
        log.line(line)
    if result.code == 0:
        return ()
    return (Problem("`%s %s` failed" % (command, bridge), "%s --verbose %s shows more" % (command, bridge)),)


# The timer: systemd's, so that it outlives our caller, its session, and us.

def timed():
    """Whether systemd runs here, for this network: not in a container's or a test's namespace."""
    try:
        return os.path.isdir("/run/systemd/system") and os.readlink("/proc/1/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:
        return False


def _arm(seconds, must):
    if not timed():
        return
    _disarm()
    argv = (
        "systemd-run",
        "--quiet",
        "--collect",
        "--unit=" + UNIT,
        "--description=l2wg: undo what nobody has confirmed",
        "--on-active=%d" % seconds,
        "--timer-property=AccuracySec=100ms",
        os.path.realpath(sys.argv[0]),
        "rollback",
        "--unconfirmed",
    )
    result = run.run(argv)
    if result.code and must:
        fail("`%s` failed: %s" % (" ".join(argv), result.err.strip()), "without a timer nothing was changed")


def _disarm():
    if timed():
        run.run(("systemctl", "stop", UNIT + ".timer"))


def stop_worker():
    """End an apply that hangs, so that its change can be undone. Its own answer to SIGTERM is to undo it."""
    saved = _load(OPEN)
    if saved is None or saved.waiting or saved.pid == os.getpid() or saved.boot != _boot():
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + GRACE
        while _is_l2wg(saved.pid):
            os.kill(saved.pid, number)
            time.sleep(1)
            if time.monotonic() > end:
                break


def _is_l2wg(pid):
    return "l2wg" in files.glance("/proc/%d/cmdline" % pid)
