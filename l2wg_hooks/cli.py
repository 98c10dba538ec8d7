"""The command l2wg: events by the shortest way, and whatever else there is in `commands`. See l2wg(8)."""

# The half of signal(3py) that is written in C: the other one makes enumerations of all that it has, for every event anew.
import _signal
import errno
import gc
import os
import sys

EVENTS = ("up", "down", "event")


def main(words=None):
    """Run one command line; its exit code."""
    if words is None and _is_event():
        # It ends before garbage could be in anybody's way; to look for some takes a twentieth of its time.
        gc.disable()
    words = list(sys.argv[1:] if words is None else words)
    # The caller's may let everybody write what we make.
    os.umask(0o022)
    # Whoever started us may be logged in through what we change: we finish even if that ends their session.
    _signal.signal(_signal.SIGHUP, _signal.SIG_IGN)
    # By etc/l2wg/look, of an event that has nothing else to do.
    if words[:2] == ["event", "probe"]:
        from l2wg_hooks.probes import loop_probe

        loop_probe.again(words[2:])
        return 0
    strict = "--strict" in words
    bare = [word for word in words if word != "--strict"]
    # The hot path: hooks know how to call us, and argparse costs as much as all the rest of an event.
    if bare and bare[0] in EVENTS and len(bare) == (3 if bare[0] == "event" else 2) and not {"-h", "--help"} & set(bare):
        return _event(bare, strict)
    return _printing(words)


def leave(code):
    """End the process. An event's Python is not taken apart first, which would take a tenth of its time."""
    if _is_event():
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):  # there is none, or nobody who reads it
                pass
        os._exit(code)
    sys.exit(code)


def _is_event():
    return len(sys.argv) > 1 and sys.argv[1] in EVENTS


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
        # What cannot be written to a file is told by system/files.py, by the file's name.
        if error.errno != errno.ENOSPC:
            raise
        print(f"l2wg: standard output: {error.strerror}", file=sys.stderr)
        code = 1
    # What is still to be written would be tried again at the end of Python.
    sys.stdout = None
    return code


def _event(words, strict):
    try:
        from l2wg_hooks.reconcile import events

        return events.main(words, strict)
    except Exception as error:  # a broken installation must not cost anybody the VPN either
        print(f"l2wg: {type(error).__name__}: {error}\n  hint: apt install --reinstall l2wg", file=sys.stderr)
        return 1 if strict else 0


def _command(words):
    from l2wg_hooks.commands import registry

    commands = registry.parser(words)
    options = commands.parse(words)
    if options.command is None:
        sys.stdout.write(commands.screen())
        return 0
    if options.command in ("detach", "down") and bool(options.underlay) == options.all:
        commands[options.command].error("name one WireGuard interface, or --all")
    command = commands.commands[options.command]
    if options.command in EVENTS:  # reached with a misplaced option only
        return command.run(options)[1]
    from l2wg_hooks.errors import REFUSED, L2wgError, fail
    from l2wg_hooks.reconcile import event_summary
    from l2wg_hooks.system import log, terminal

    caller = log.who()
    called = " ".join([options.command] + [word.partition("=")[0] for word in words if word.startswith("--")])
    label = "l2wg {}{}".format(called, f" ({caller})" if caller else "")
    log.begin(event_summary.EventSummary(called, label), getattr(command, "READ_ONLY", False), terminal.attended())
    try:
        if not (getattr(command, "FOR_ALL", False) or _is_root()):
            # Others do not see firewalls, leases and WireGuard's peers: even `plan` would be wrong.
            fail(f"`l2wg {options.command}` is for root", "sudo l2wg {}".format(" ".join(words)), REFUSED)
        problems, code = command.run(options)
    except L2wgError as error:
        problems, code = error.problems, error.code
    finally:
        log.tell()
    log.complain(problems)
    return code


def _is_root():
    return os.geteuid() == 0
