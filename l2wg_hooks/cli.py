"""The command l2wg: words of the command line to calls. See l2wg(8)."""

import signal
import sys

from l2wg_hooks import __version__

EVENTS = ("up", "down", "event")


def main(words=None):
    """Run one command line; its exit code."""
    words = list(sys.argv[1:] if words is None else words)
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


def _parser():
    import argparse

    parser = argparse.ArgumentParser(
        prog="l2wg",
        description="Ethernet over WireGuard: wires the tunnels of /etc/l2wg/*.conf into their bridges.",
        epilog="First: l2wg set gretap1 underlay=wg0 local=ADDRESS remote=ADDRESS bridge=br0; then: l2wg attach wg0; l2wg apply",
    )
    parser.add_argument("--version", action="version", version="l2wg " + __version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    add = commands.add_parser
    add("plan", help="say what `apply` would do and why; exit 0 nothing, 2 something, 1 problems")
    add("apply", help="bring files and kernel to what /etc/l2wg/*.conf wishes")
    add("check", help="say what is wrong and what helps; exit 0 nothing, 1 something")
    one = add("set", help="write settings into /etc/l2wg/TUNNEL.conf")
    one.add_argument("tunnel", metavar="TUNNEL")
    one.add_argument("changes", metavar="KEY=VALUE", nargs="+")
    one = add("attach", help="put our PostUp and PostDown lines into /etc/wireguard/WG.conf")
    one.add_argument("underlay", metavar="WG")
    one = add("detach", help="take exactly these lines out again")
    one.add_argument("underlay", metavar="WG", nargs="?")
    one.add_argument("--all", action="store_true", help="out of every file in /etc/wireguard")
    one = add("up", help="called by PostUp: wire up; exits 0 whatever happens")
    one.add_argument("underlay", metavar="WG")
    one.add_argument("--strict", action="store_true", help="exit 1 if something is wrong")
    one = add("down", help="called by PostDown: take the tunnels on WG out; exits 0 whatever happens")
    one.add_argument("underlay", metavar="WG", nargs="?")
    one.add_argument("--all", action="store_true", help="take out every tunnel of ours")
    one.add_argument("--strict", action="store_true", help="exit 1 if something is wrong")
    return parser


def _command(words):
    parser = _parser()
    options = parser.parse_args(words)
    if options.command is None:
        parser.print_help()
        return 0
    if options.command in ("detach", "down") and bool(options.underlay) == options.all:
        parser.error("%s: name one WireGuard interface, or --all" % options.command)
    if options.command in EVENTS:  # reached with a misplaced option only
        return _event([options.command, options.underlay or "--all"], options.strict)
    from l2wg_hooks import log
    from l2wg_hooks.errors import L2wgError

    try:
        problems, code = COMMANDS[options.command](options)
    except L2wgError as error:
        problems, code = error.problems, 1
    log.complain(problems)
    return code


def _plan(_options):
    from l2wg_hooks import apply, interfaces, log, wish

    intent = apply.intend()
    if intent.new != intent.old:
        import difflib

        name = interfaces.OURS
        sides = (text.splitlines(True) for text in (intent.old, intent.new))
        sys.stdout.writelines(difflib.unified_diff(*sides, fromfile=name, tofile=name))
    steps = intent.released + intent.todo.steps
    for step in steps:
        print("%-70s # %s" % (step, step.reason))
    for line in intent.todo.waiting:
        log.say(line)
    if intent.problems:
        return intent.problems, 1
    if steps or intent.new != intent.old:
        return (), 2
    log.say("nothing to do" if wish.names() else "nothing to do: there is no tunnel in /etc/l2wg; see l2wg.conf(5)")
    return (), 0


def _apply(_options):
    from l2wg_hooks import apply, log, wish

    problems = apply.apply()
    if not wish.names():
        log.say("there is no tunnel in /etc/l2wg; see l2wg.conf(5)")
    return problems, 1 if problems else 0


def _check(_options):
    from l2wg_hooks import check, log, wish

    problems = check.check()
    if not problems:
        log.say("nothing is wrong" if wish.names() else "there is no tunnel in /etc/l2wg; see l2wg.conf(5)")
    return problems, 1 if problems else 0


def _set(options):
    from l2wg_hooks import edit

    changes = {}
    for word in options.changes:
        key, equals, value = word.partition("=")
        if not equals:
            from l2wg_hooks.errors import fail

            fail("%s is not KEY=VALUE" % ascii(word), "for example: l2wg set gretap1 bridge=br0")
        changes[key.strip()] = value.strip()
    edit.change(options.tunnel, changes)
    return (), 0


def _attach(options):
    from l2wg_hooks import wgconf, wish

    return wgconf.attach_file(options.underlay, wish.names()), 0


def _detach(options):
    from l2wg_hooks import wgconf

    for name in wgconf.names() if options.all else [options.underlay]:
        wgconf.detach_file(name)
    return (), 0


COMMANDS = {"plan": _plan, "apply": _apply, "check": _check, "set": _set, "attach": _attach, "detach": _detach}
