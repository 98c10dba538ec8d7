"""The command l2wg: words of the command line to calls. See l2wg(8)."""

import errno
import os
import signal
import sys
import time

from l2wg_hooks import __version__

EVENTS = ("up", "down", "event")
# Commands that change nothing: what they find is for whoever has asked, not for the journal.
LOOKING = ("plan", "rehearse", "check", "status", "metrics", "card")


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
    return _printing(words)


def _printing(words):
    """_command; where nobody takes what it prints, it says so instead of a traceback, and nothing after `| head`."""
    try:
        code = _command(words)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        code = 1
    except OSError as error:
        # What cannot be written to a file is told by files.py, by the file's name.
        if error.errno != errno.ENOSPC:
            raise
        print("l2wg: standard output: %s" % error.strerror, file=sys.stderr)
        code = 1
    # What is still to be written would be tried again at the end of Python.
    sys.stdout = None
    return code


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
    said_confirm = "undo it after so long, unless `l2wg confirm` comes before"
    one.add_argument("--confirm", metavar="SECONDS", type=_seconds, default=0, help=said_confirm)
    one.add_argument("--yes", action="store_true", help="let addresses of ports move to their bridge without asking")
    one.add_argument("--copy", action="store_true", help=usage.HIDDEN)
    said_rehearsal = "do not play the next start on a copy before files change"
    one.add_argument("--no-rehearsal", dest="rehearsed", action="store_false", help=said_rehearsal)
    add("confirm", help="keep what `apply --confirm` has changed")
    one = add("rollback", help="undo what the last `apply` has changed")
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.add_argument("--unconfirmed", action="store_true", help=usage.HIDDEN)
    one.add_argument("--boot", action="store_true", help=usage.HIDDEN)
    one = add("rehearse", help="play the next start on a copy; exit 0 well, 1 something is lost")
    one.add_argument("-v", "--verbose", action="store_true", help="show all that was run, and what it said")
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
    one = add("check", help="say what is wrong and what helps; exit 0 nothing, 1 something")
    one.add_argument("--json", action="store_true", help="for programs; see l2wg(8)")
    said = "list all that was looked at, the outcome, and what this router's tools and kernel have"
    one.add_argument("-v", "--verbose", action="store_true", help=said)
    one.add_argument("--passive", action="store_true", help="send nothing: no probes, no DHCP question")
    one = add("init", help="make WireGuard from nothing: key, wg0.conf, address")
    one.add_argument("underlay", metavar="WG", nargs="?", default="wg0")
    one.add_argument("--port", type=int, default=51820, help="the UDP port (51820)")
    one.add_argument("--address", metavar="ADDRESS", default="", help="inside WireGuard; without, it follows from the key")
    _site_options(one)
    one = add("card", help="print this site's public facts as one line, for the other router")
    one.add_argument("--underlay", metavar="WG", default="")
    one.add_argument("--qr", action="store_true", help="print a QR code, too")
    _site_options(one)
    for word, said in (("encapsulation", "gretap or vxlan"), ("key", "GRE key or VNI"), ("mtu", "bytes")):
        one.add_argument("--" + word, metavar=word.upper(), help="what this site asks of tunnels: " + said)
    one = add("pair", help="connect this site to the one whose card this is")
    one.add_argument("card", metavar="CARD", nargs="*", help="however it was wrapped; none: from standard input")
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.add_argument("--move-address", action="store_true", help="let addresses of ports move to their bridge without asking")
    one.add_argument("--underlay", metavar="WG", default="")
    one.add_argument("--tunnel", metavar="NAME", default="")
    one.add_argument("--bridge", metavar="BRIDGE", default="", help="the bridge to join; without, the one that there is")
    one.add_argument("--bridge-ports", metavar="PORTS", default="", help="make a bridge of these Ethernet ports")
    one.add_argument("--bridge-address", metavar="ADDRESS/PREFIX", default="")
    one.add_argument("--confirm", metavar="SECONDS", type=_seconds, default=0, help=said_confirm)
    one.add_argument("--no-rehearsal", dest="rehearsed", action="store_false", help=said_rehearsal)
    one = add("unpair", help="take out what `pair` has brought: tunnel, peer, route")
    one.add_argument("site", metavar="SITE", help="the other site, its tunnel, or its public key")
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.add_argument("--confirm", metavar="SECONDS", type=_seconds, default=0, help=said_confirm)
    one.add_argument("--no-rehearsal", dest="rehearsed", action="store_false", help=said_rehearsal)
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


def _site_options(one):
    one.add_argument("--name", metavar="NAME", help="this site's name, remembered (without: the host's)")
    one.add_argument("--endpoint", metavar="HOST[:PORT]", help="how others call this router, remembered; `none`: they cannot")


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
    from l2wg_hooks import log, terminal
    from l2wg_hooks.errors import L2wgError

    caller = log.who()
    called = " ".join([options.command] + [word.partition("=")[0] for word in words if word.startswith("--")])
    label = "l2wg %s%s" % (called, " (%s)" % caller if caller else "")
    log.begin(called, label, options.command in LOOKING, terminal.attended())
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
        return intent.problems + moving.problems, 1
    _show(intent)
    if intent.problems:
        return intent.problems, 1
    if intent.changes():
        return (), 2
    log.say("nothing to do" if wish.names() else wish.EMPTY)
    return (), 0


def _show(intent, last=()):
    """Print what an Intent would change: what that is for, files as a diff, commands with their reasons, `last` the last."""
    from l2wg_hooks import log, terminal

    for line in intent.meant:
        log.say(line)
    terminal.show(intent.texts, intent.all_steps() + tuple(last))
    for line in intent.waiting():
        log.say(line)
    for one in intent.told + tuple(one.problem() for one in intent.named if intent.texts):
        log.line("l2wg: %s" % one)


def _apply(options):
    from l2wg_hooks import apply, log, wish

    if options.copy:
        apply.copy()
        return (), 0
    problems = apply.apply(options.confirm, (lambda moves: True) if options.yes else _agree, rehearsed=options.rehearsed)
    if not wish.names():
        log.say(wish.EMPTY)
    return problems, 1 if problems else _confirmed(options.confirm)


def _agree(moves):
    """Ask whoever sits there; nobody there has not agreed."""
    from l2wg_hooks import log, terminal

    if not terminal.attended():
        return False
    for one in moves:
        log.line("%s. Its stanzas move, too: `l2wg plan` shows how." % one)
    return terminal.yes("Go on? Connections are kept. [y/N] ")


def _confirmed(seconds):
    """Have whoever sits there decide on what waits for a confirmation; the exit code. Nobody there decides later."""
    from l2wg_hooks import lock, log, terminal, transaction

    if not seconds or not transaction.waits() or not terminal.attended():
        return 0
    ended = terminal.count_down(time.monotonic() + seconds, transaction.waits)
    if ended == terminal.KEPT:
        with lock.changing():
            transaction.confirm()
    elif ended == terminal.OVER:
        log.line("")
        log.say("the time is over: it is being undone")
    elif ended == terminal.DECIDED:
        log.line("")
        log.say("it has been confirmed or undone elsewhere meanwhile")
    return 1 if ended == terminal.OVER else 0


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
        if not options.unconfirmed and not options.yes and not _given_back():
            return (), 1
        why = "it was not confirmed" if options.unconfirmed else "asked for by `l2wg rollback`"
        problems = transaction.rollback(why, alarm=options.unconfirmed)
    return problems, 1 if problems else 0


def _given_back():
    """Show whoever sits there what a rollback takes back; whether they want it. Nobody there has asked for it already."""
    from l2wg_hooks import log, terminal, transaction

    if not terminal.attended():
        return True
    texts, steps = transaction.undone()
    terminal.show(texts, steps)
    if terminal.yes("Take this back? [y/N] "):
        return True
    log.say("nothing was changed")
    return False


def _rehearse(options):
    from l2wg_hooks.rehearsing import rehearse

    return rehearse.command(options.verbose)


def _status(options):
    from l2wg_hooks.showing import show

    return (), show.show(options)


def _metrics(options):
    from l2wg_hooks import outlet, terminal
    from l2wg_hooks.showing import metrics, status, survey

    text = metrics.render(status.build(survey.look()))
    if options.output:
        outlet.write(options.output, text)
    else:
        terminal.out(text)
    return (), 0


def _check(options):
    from l2wg_hooks import log, terminal, wish
    from l2wg_hooks.checking import abilities, check

    with terminal.progress() as tell:
        report = check.check(options.passive, tell)
    code = 1 if report.problems else 0
    if options.json:
        print(report.json())
        return (), code
    for one in report.outcomes:
        # --passive was asked for.
        hidden = one.outcome != check.UNLOOKED or options.passive and one.why.startswith("--passive")
        if options.verbose or not hidden:
            log.line("l2wg: %s: %s" % (one.name, one.outcome + (": " + one.why if one.why else "")))
    for line in abilities.lines() if options.verbose else ():
        log.line("l2wg: " + line)
    if not report.problems:
        log.say("nothing is wrong" if wish.names() else wish.EMPTY)
    return report.problems, code


def _init(options):
    from l2wg_hooks import errors, lock, log
    from l2wg_hooks.pairing import init

    if not 1 <= options.port <= 65535:
        errors.fail("%d is no UDP port" % options.port, "a number from 1 to 65535", key="--port")
    with lock.changing():
        init.init(options.underlay, options.port, options.address, _said(options, "name", "endpoint"))
    log.say("now take this card to the other router: l2wg pair CARD")
    return _tell_card(options.underlay, False)


def _said(options, *words):
    return {word: getattr(options, word) for word in words if getattr(options, word) is not None}


def _card(options):
    from l2wg_hooks import lock
    from l2wg_hooks.pairing import facts, site

    changes = _said(options, "name", "endpoint", "encapsulation", "key", "mtu")
    if changes:
        with lock.changing():
            site.save(changes)
    return _tell_card(facts.underlay(options.underlay), options.qr)


def _tell_card(underlay, picture):
    """Print the card alone on standard output, so that it can go through a pipe, and what is in it beside."""
    from l2wg_hooks import log, run
    from l2wg_hooks.pairing import card, facts

    found = facts.look(underlay, run.observe())
    for line in _facts_of(found.card):
        log.line("  " + line)
    line = card.encode(found.card)
    if picture:
        # A terminal may be dark: then the code is drawn in its own colours.
        done = run.run(("qrencode", "-t", "ANSIUTF8" if sys.stdout.isatty() else "UTF8", "-m", "2", line))
        if done.code:
            from l2wg_hooks.errors import fail

            fail("qrencode failed: %s" % done.err.strip(), "the card itself is: %s" % line)
        sys.stdout.write(done.out)
    print(line, flush=True)
    return found.hints, 0


def _facts_of(one):
    """A Card for people, one fact a line."""
    yield "site           %s" % one.name
    yield "public key     %s" % one.key
    yield "endpoint       %s" % (one.endpoint or "none: it calls, and cannot be called")
    yield "address        %s" % ", ".join(one.addresses)
    joined = {True: ", in the tunnel's bridge", False: ", not in the tunnel's bridge", None: ""}[one.joined]
    yield "LAN            %s" % (one.lan + joined if one.lan else "none")
    more = "" if one.number is None else ", key %d" % one.number
    yield "tunnel         %s%s, mtu %d" % (one.encapsulation, more, one.mtu)


def _pair(options):
    from l2wg_hooks import apply, errors, log, terminal
    from l2wg_hooks.pairing import card, pair

    person = terminal.attended()
    text = " ".join(options.card) or _pasted(person)
    ports = tuple(options.bridge_ports.replace(",", " ").split())
    wanted = pair.Wanted(options.underlay, options.tunnel, options.bridge, ports, options.bridge_address)
    apply.settle()
    found = pair.intend(text, wanted, person and not options.yes)
    intent = apply.intend(wished_too=found.more.wish)
    if intent.moves and not intent.unasked():
        intent = apply.intend(moving=True, wished_too=found.more.wish)
    for line in _facts_of(found.other):
        log.line("  " + line)
    for line in found.notes:
        log.say(line)
    own = "on the other router, if that has not been done: l2wg pair %s" % card.encode(found.facts.card)
    if not found.changes() and not intent.changes() and not intent.problems:
        log.say("nothing to do: this router is paired with %s by %s" % (found.other.name, found.tunnel))
        if pair.waits(found):
            log.say(own)
        return (), 0
    _show(intent._replace(texts=dict(found.shown, **intent.texts), steps=found.more.steps + intent.steps))
    if intent.problems:
        return intent.problems, 1
    if not options.yes and not (person and terminal.yes("Write this? [y/N] ")):
        if not person:
            errors.fail("nobody is here to agree, nothing was changed", "run it at a terminal, or with --yes")
        log.say("nothing was changed")
        return (), 1
    agree = (lambda moves: True) if options.move_address else _agree
    problems = pair.carry_out(found, options.confirm, agree, options.rehearsed)
    if problems:
        return problems, 1
    log.did("this router is paired with %s by %s" % (found.other.name, found.tunnel))
    if pair.answers(found):
        log.say("%s answers: WireGuard's handshake is done" % found.other.name)
    else:
        log.say("%s has not answered yet: no handshake of WireGuard so far" % found.other.name)
        log.say(own)
    return (), _confirmed(options.confirm)


def _unpair(options):
    from l2wg_hooks import apply, errors, log, terminal
    from l2wg_hooks.pairing import unpair

    person = terminal.attended()
    apply.settle()
    found = unpair.intend(options.site)
    intent = apply.intend(wished_too=found.more.wish)
    for line in found.notes:
        log.say(line)
    if not found.shown and not found.more.last and not intent.changes() and not intent.problems:
        log.say("nothing to do: no tunnel leads to %s" % found.called)
        return (), 0
    # In the order of what happens: the tunnel goes before the peer.
    _show(intent._replace(texts=dict(found.shown, **intent.texts)), found.more.last)
    if intent.problems:
        return intent.problems, 1
    if not options.yes and not (person and terminal.yes("Take this out? [y/N] ")):
        if not person:
            errors.fail("nobody is here to agree, nothing was changed", "run it at a terminal, or with --yes")
        log.say("nothing was changed")
        return (), 1
    problems = apply.apply(options.confirm, _agree, found.more, options.rehearsed)
    if problems:
        return problems, 1
    log.did("this router is not paired with %s any more" % found.called)
    log.say("on the other router, if that has not been done: l2wg unpair %s" % unpair.own_name())
    return (), _confirmed(options.confirm)


# Characters of standard input at most: those that card.decode looks at.
PASTED = 1 << 13


def _pasted(person):
    """A card from standard input, however it is wrapped: up to its last character, an empty line or the end."""
    from l2wg_hooks import log
    from l2wg_hooks.pairing import card

    if person:
        log.line("Paste the other router's card, then Enter:")
    text = ""
    if hasattr(sys.stdin, "reconfigure"):
        # Not the card that was meant, perhaps, nor any text.
        sys.stdin.reconfigure(errors="surrogateescape")
    for line in iter(lambda: sys.stdin.readline(PASTED - len(text)), ""):
        text += line
        try:
            card.decode(text)
        except card.Refused:
            if line.strip() or not text.strip():
                continue
        break
    return text


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
    from l2wg_hooks.errors import L2wgError

    problems = []
    with lock.changing():
        for name in wgconf.names() if options.all else [options.underlay]:
            try:
                wgconf.detach_file(name)
            except L2wgError as error:  # the others' lines go all the same
                problems += error.problems
    return problems, 1 if problems else 0


COMMANDS = {
    "plan": _plan,
    "apply": _apply,
    "confirm": _confirm,
    "rollback": _rollback,
    "rehearse": _rehearse,
    "status": _status,
    "metrics": _metrics,
    "check": _check,
    "init": _init,
    "card": _card,
    "pair": _pair,
    "unpair": _unpair,
    "set": _set,
    "attach": _attach,
    "detach": _detach,
}
