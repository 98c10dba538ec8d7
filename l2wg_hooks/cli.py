"""The command l2wg: words of the command line to calls. See l2wg(8)."""

import os
import signal
import sys

from l2wg_hooks import __version__

EVENTS = ("up", "down", "event")
# Commands that change nothing: what they find is for whoever has asked, not for the journal.
LOOKING = ("plan", "check", "status", "metrics", "card")


def main(words=None):
    """Run one command line; its exit code."""
    words = list(sys.argv[1:] if words is None else words)
    # The caller's may let everybody write what we make.
    os.umask(0o022)
    # Whoever started us may be logged in through what we change: we finish even if that ends their session.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    strict = "--strict" in words
    bare = [word for word in words if word != "--strict"]
    # The hot path: hooks know how to call us, and argparse costs as much as all the rest of an event.
    if bare and bare[0] in EVENTS and len(bare) == (3 if bare[0] == "event" else 2) and not {"-h", "--help"} & set(bare):
        return _event(bare, strict)
    return _command(words)


def _event(words, strict):
    try:
        from l2wg_hooks import hook

        return hook.main(words, strict)
    except Exception as error:  # a broken installation must not cost anybody the VPN either
        print("l2wg: %s: %s\n  hint: apt install --reinstall l2wg" % (type(error).__name__, error), file=sys.stderr)
        return 1 if strict else 0


def _commands():
    """Every command and its options. `help` is the line on the screen of `l2wg --help`: usage.py groups them."""
    from l2wg_hooks import usage

    commands = usage.Commands(__version__)
    add = commands.add
    add("plan", help="say what `apply` would do and why; exit 0 nothing, 2 something")
    one = add("apply", help="bring files and kernel to what is wished, or change nothing")
    said = "undo it after so long, unless `l2wg confirm` comes before"
    one.add_argument("--confirm", metavar="SECONDS", type=_seconds, default=0, help=said)
    one.add_argument("--yes", action="store_true", help="let addresses of ports move to their bridge without asking")
    add("confirm", help="keep what `apply --confirm` has changed")
    one = add("rollback", help="undo what the last `apply` has changed")
    one.add_argument("--unconfirmed", action="store_true", help=usage.HIDDEN)
    one.add_argument("--boot", action="store_true", help=usage.HIDDEN)
    one = add("status", help="show tunnels, peers, bridges, counters and what is wrong")
    one.add_argument("tunnels", metavar="TUNNEL", nargs="*", help="only these, in whole")
    form = one.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs; l2wg(8) tells the schema")
    form.add_argument("--diagram", action="store_true", help="draw it, in text")
    form.add_argument("--svg", metavar="FILE", help="draw it for a wiki page; - is standard output")
    said = "again and again, every so many seconds (2), until Ctrl-C"
    form.add_argument("--watch", metavar="SECONDS", nargs="?", const=2.0, type=_interval, help=said)
    one = add("metrics", help="print the status for Prometheus, in its text format")
    said = "into a file, in one move, as node_exporter's textfile collector wants it"
    one.add_argument("--output", metavar="FILE", help=said)
    add("check", help="say what is wrong and what helps; exit 0 nothing, 1 something")
    one = add("set", help="write settings into /etc/l2wg/TUNNEL.conf, or make it")
    one.add_argument("tunnel", metavar="TUNNEL")
    one.add_argument("changes", metavar="KEY=VALUE", nargs="+", help="see l2wg.conf(5)")
    one = add("attach", help="put our PostUp and PostDown lines into /etc/wireguard/WG.conf")
    one.add_argument("underlay", metavar="WG")
    one = add("detach", help="take exactly these lines out again")
    one.add_argument("underlay", metavar="WG", nargs="?")
    one.add_argument("--all", action="store_true", help="out of every file in /etc/wireguard")
    one = add("up", help="wire up what can be; exits 0 whatever happens (PostUp)")
    one.add_argument("underlay", metavar="WG")
    one.add_argument("--strict", action="store_true", help="exit 1 if something is wrong")
    one = add("down", help="take the tunnels on WG out; exits 0 whatever happens (PostDown)")
    one.add_argument("underlay", metavar="WG", nargs="?")
    one.add_argument("--all", action="store_true", help="take out every tunnel of ours")
    one.add_argument("--strict", action="store_true", help="exit 1 if something is wrong")
    return commands


def _seconds(word):
    import argparse

    if not word.isdigit() or not 5 <= int(word) <= 86400:
        raise argparse.ArgumentTypeError("%s is no number of seconds from 5 to 86400" % ascii(word))
    return int(word)


def _interval(word):
    import argparse

    try:
        seconds = float(word)
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("%s is no number of seconds from 0.1 to 86400" % ascii(word))
    return seconds


def _command(words):
    commands = _commands()
    options = commands.parse(words)
    if options.command is None:
        sys.stdout.write(commands.screen())
        return 0
    if options.command in ("detach", "down") and bool(options.underlay) == options.all:
        commands[options.command].error("name one WireGuard interface, or --all")
    if options.command in EVENTS:  # reached with a misplaced option only
        return _event([options.command, options.underlay or "--all"], options.strict)
    from l2wg_hooks import log
    from l2wg_hooks.errors import L2wgError

    caller = log.who()
    called = " ".join([options.command] + [word.partition("=")[0] for word in words if word.startswith("--")])
    log.begin(called, "l2wg %s%s" % (called, " (%s)" % caller if caller else ""), quiet=options.command in LOOKING)
    try:
        if not _is_root():
            from l2wg_hooks.errors import REFUSED, fail

            # Others do not see firewalls, leases and WireGuard's peers: even `plan` would be wrong.
            fail("`l2wg %s` is for root" % options.command, "sudo l2wg %s" % " ".join(words), REFUSED)
        problems, code = COMMANDS[options.command](options)
    except L2wgError as error:
        problems, code = error.problems, error.code
    finally:
        log.tell()
    log.complain(problems)
    return code


def _is_root():
    return os.geteuid() == 0


def _plan(_options):
    from l2wg_hooks import apply, log, wish

    intent = apply.intend()
    if intent.moves and not intent.unasked():
        moving = apply.intend(moving=True)
        _show(moving)
        return intent.problems, 1
    _show(intent)
    if intent.problems:
        return intent.problems, 1
    if intent.changes():
        return (), 2
    log.say("nothing to do" if wish.names() else "nothing to do: there is no tunnel in /etc/l2wg; see l2wg.conf(5)")
    return (), 0


def _show(intent):
    """Print what an Intent would change: files as a diff, commands with their reasons."""
    import difflib

    from l2wg_hooks import log

    # A file may have bytes that are no characters of this terminal's.
    sys.stdout.reconfigure(errors="backslashreplace")
    for path, sides in intent.texts.items():
        lines = (text.splitlines(True) for text in sides)
        for line in difflib.unified_diff(*lines, fromfile=path, tofile=path):
            sys.stdout.write(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    for step in intent.steps + intent.todo.steps:
        print("%-70s # %s" % (step, step.reason))
    for line in intent.todo.waiting:
        log.say(line)
    for one in intent.named if intent.texts else ():
        log.line("l2wg: %s" % one.problem())


def _apply(options):
    from l2wg_hooks import apply, log, wish

    problems = apply.apply(options.confirm, (lambda moves: True) if options.yes else _agree)
    if not wish.names():
        log.say("there is no tunnel in /etc/l2wg; see l2wg.conf(5)")
    return problems, 1 if problems else 0


def _agree(moves):
    """Ask whoever sits there; nobody there has not agreed."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    from l2wg_hooks import log

    for one in moves:
        log.line("%s. Its stanzas move, too: `l2wg plan` shows how." % one)
    sys.stderr.write("Go on? Connections are kept. [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _confirm(_options):
    from l2wg_hooks import lock, transaction

    with lock.changing():
        transaction.confirm()
    return (), 0


def _rollback(options):
    from l2wg_hooks import lock, transaction

    if options.boot:
        transaction.recover()
        return (), 0
    if options.unconfirmed:
        transaction.stop_worker()
    with lock.changing():
        if options.unconfirmed and not transaction.pending():
            return (), 0
        why = "it was not confirmed" if options.unconfirmed else "asked for by `l2wg rollback`"
        problems = transaction.rollback(why, alarm=options.unconfirmed)
    return problems, 1 if problems else 0


def _status(options):
    from l2wg_hooks import show

    return (), show.show(options)


def _metrics(options):
    from l2wg_hooks import files, metrics, status, survey

    text = metrics.render(status.build(survey.look()))
    if options.output:
        files.write(options.output, text)
    else:
        sys.stdout.write(text)
    return (), 0


def _check(_options):
    from l2wg_hooks import check, log, wish

    problems = check.check()
    if not problems:
        log.say("nothing is wrong" if wish.names() else "there is no tunnel in /etc/l2wg; see l2wg.conf(5)")
    return problems, 1 if problems else 0


def _set(options):
    from l2wg_hooks import edit, lock

    changes = {}
    for word in options.changes:
        key, equals, value = word.partition("=")
        if not equals:
            from l2wg_hooks.errors import fail

            fail("%s is not KEY=VALUE" % ascii(word), "for example: l2wg set gretap1 bridge=br0")
        changes[key.strip()] = value.strip()
    with lock.changing():
        edit.change(options.tunnel, changes)
    return (), 0


def _attach(options):
    from l2wg_hooks import lock, wgconf, wish

    with lock.changing():
        return wgconf.attach_file(options.underlay, wish.names()), 0


def _detach(options):
    from l2wg_hooks import lock, wgconf

    with lock.changing():
        for name in wgconf.names() if options.all else [options.underlay]:
            wgconf.detach_file(name)
    return (), 0


COMMANDS = {
    "plan": _plan,
    "apply": _apply,
    "confirm": _confirm,
    "rollback": _rollback,
    "status": _status,
    "metrics": _metrics,
    "check": _check,
    "set": _set,
    "attach": _attach,
    "detach": _detach,
}
