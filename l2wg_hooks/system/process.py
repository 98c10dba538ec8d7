"""The only place that runs commands. Each is a list, never a shell string, and is printed as wg-quick prints its own."""

import os

from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.system import child, json_fields, log
from l2wg_hooks.typed import NamedTuple

# Seconds after which a command counts as hung. The kernel answers in milliseconds, under emulation in seconds.
PATIENCE = 60
# Bytes that are read at once.
PIECE = 1 << 16
# A caller's PATH is not to be trusted with root's commands, and ip prints numbers as we expect them in C only.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

IPV6 = "/proc/net/if_inet6"

# Commands whose Debian package has another name.
PACKAGES = {
    "ip": "iproute2",
    "bridge": "iproute2",
    "tc": "iproute2",
    "ifup": "ifupdown",
    "ifquery": "ifupdown",
    "nft": "nftables",
    "ip6tables": "iptables",
    "iptables-save": "iptables",
    "ip6tables-save": "iptables",
    "modprobe": "kmod",
    "sysctl": "procps",
    "wg": "wireguard-tools",
}


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def show(argv):
    """Print a command as wg-quick does."""
    log.say(" ".join(argv))


def run(argv, stdin="", environment=(), patience=0):
    """Run a command to its end. Raises L2wgError if it is not there or hangs; its exit code is the caller's to judge.

    It hangs where it takes longer than `patience`, in seconds; 0 stands for PATIENCE, as it is by now: a rehearsal has its own.
    """
    patience = patience or PATIENCE
    try:
        data = stdin.encode("utf-8", "surrogateescape")
        code, *said = child.run(list(argv), data, dict(ENVIRONMENT, **dict(environment)), patience)
    except (ValueError, UnicodeEncodeError):  # a NUL, or what is no byte: not to be had from any program or file
        fail("`{}` is not a command".format(" ".join(argv)), "look for odd bytes in the names there")
    except FileNotFoundError:
        fail(f"the command {argv[0]} is not there", f"apt install {PACKAGES.get(argv[0], argv[0])}")
    except TimeoutError:
        fail("`%s` did not end within %d s" % (" ".join(argv), patience), "run it by hand to see what it waits for")
    return Result(code, *(_text(piece) for piece in said))


def whole_path(name):
    """The file of a command. Raises FileNotFoundError."""
    return child.whole_path(name, ENVIRONMENT["PATH"])


def _text(data):
    """What a command printed. A carriage return ends a line, too."""
    text = data.decode("utf-8", "surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def leave(argv):
    """Start a command that goes on by itself: nobody waits for it, nor hears of it."""
    import subprocess  # slow to load: no event but one that makes a wire has a use for it

    try:
        subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except OSError:  # then it is not there, and nobody needs to hear of that either
        pass


def output(*argv):
    """What a command printed; "" where it is not there or fails, for what one can do without."""
    try:
        result = run(argv)
    except L2wgError:
        return ""
    return result.out if result.code == 0 else ""


def lines(*argv):
    """The lines that a command printed, for what has to be known. Raises L2wgError where it is not there or fails."""
    return _done(argv).splitlines()


def _done(argv, no=None):
    """What a command printed; "" where it ended with the code `no`. Raises L2wgError for any other but 0."""
    result = run(argv)
    if result.code not in (0, no):
        said = result.err.strip().partition("\n")[0]
        fail("`{}` failed: {}".format(" ".join(argv), said or "code %d" % result.code), "run it by hand as root")
    return "" if result.code else result.out


def read(reader, argv, no=None):
    return understood(reader, _done(argv, no), argv)


def understood(reader, text, argv):
    """What `reader` makes of a text that the command `argv` has printed. Raises L2wgError."""
    try:
        return reader(text)
    except json_fields.Unfit as error:
        message = "`{}` printed what cannot be read: {}".format(" ".join(argv), error)
        return fail(message, f"is {argv[0]} that of the package {PACKAGES.get(argv[0], argv[0])}?")


def table(*argv):
    """The records of what a command printed as JSON, for what has to be known. Raises L2wgError."""
    return read(json_fields.table, argv)


def families():
    """ip(8)'s options for the families that the kernel has: it answers for IPv6 only where it has not been booted without."""
    return ("-4", "-6") if os.path.exists(IPV6) else ("-4",)


def feed(argv, take):
    """Run a command like `run`, and give what it prints to `take` piece by piece: it may be more than one wants to keep."""
    import codecs
    import subprocess
    import threading

    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    late, said = [], []
    try:
        started = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, bufsize=0
        )
    except FileNotFoundError:
        fail(f"the command {argv[0]} is not there", f"apt install {PACKAGES.get(argv[0], argv[0])}")
    clock = threading.Timer(PATIENCE, lambda: (late.append(True), started.kill()))
    ear = threading.Thread(target=lambda: said.append(started.stderr.read()))
    clock.start()
    ear.start()
    try:
        for piece in iter(lambda: started.stdout.read(PIECE), b""):
            take(decoder.decode(piece))
        take(decoder.decode(b"", True))
    finally:
        started.stdout.close()  # whoever still prints is ended by that
        started.wait()
        ear.join()
        clock.cancel()
        started.stderr.close()
    if late:
        fail("`%s` did not end within %d s" % (" ".join(argv), PATIENCE), "run it by hand to see what it waits for")
    return Result(started.returncode, "", said[0].decode("utf-8", "surrogateescape"))


def together(*argvs, takes=()):
    """Run commands that do not depend on each other at the same time; for each its Result, or the L2wgError of it.

    `takes` is {argv: take} of those for `feed`.
    """
    import threading

    takes = dict(takes)
    found = [None] * len(argvs)

    def run_at(index):
        try:
            argv = argvs[index]
            found[index] = feed(argv, takes[argv]) if argv in takes else run(argv)
        except L2wgError as error:
            found[index] = error

    threads = [threading.Thread(target=run_at, args=(index,)) for index in range(len(argvs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tuple(found)
