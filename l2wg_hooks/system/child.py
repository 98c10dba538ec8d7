"""A command, run to its end, without subprocess(3py): to load that costs an event as much as the commands that it runs."""

import os
import select
import time

from l2wg_hooks.typed import Any, Dict, List

# Bytes that are read or written at once.
PIECE = 1 << 16
# Seconds between two looks whether it has ended, when it prints no more: the first pause, and the longest.
SHORT, LONG = 0.0005, 0.05
DESCRIPTORS = "/proc/self/fd"
# Python 3.7 cannot.
SPAWNS = hasattr(os, "posix_spawn")


def run(argv, data, environment, patience):
    """(exit code, stdout, stderr) of a command that gets `data`; all of it bytes.

    It is looked for in the PATH of `environment`, which is all that it gets. Raises FileNotFoundError where it is not there,
    TimeoutError where it has not ended after `patience` seconds, ValueError for what no program can be called with.
    """
    if not SPAWNS:
        return _by_subprocess(argv, data, environment, patience)
    path = whole_path(argv[0], environment["PATH"])
    end = time.monotonic() + patience
    # Nothing that is executed has them, but as its own three.
    ends = [os.pipe() for _ in range(3)]
    (given, ours), (out, its_out), (err, its_err) = ends
    left = {given, ours, out, its_out, err, its_err}

    def close(*descriptors):
        for descriptor in descriptors:
            left.discard(descriptor)
            os.close(descriptor)

    try:
        dup2, close_it = vars(os)["POSIX_SPAWN_DUP2"], vars(os)["POSIX_SPAWN_CLOSE"]
        actions: List[Any] = [(dup2, descriptor, at) for at, descriptor in enumerate((given, its_out, its_err))]
        actions += [(close_it, descriptor) for descriptor in _inherited()]
        # Python ignores SIGPIPE and SIGXFSZ, which is nobody else's habit.
        pid = vars(os)["posix_spawn"](path, argv, environment, file_actions=actions, setsigdef=(13, 25))
        try:
            close(given, its_out, its_err)
            found = _exchange(ours, (out, err), data, end, close)
            code = _ended(pid, end)
        except BaseException:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise
        return code, found[out], found[err]
    finally:
        close(*tuple(left))


def _inherited():
    """Descriptors that whoever has called us has left open: a daemon that begins somewhere below would keep them for ever."""
    try:
        found = [int(name) for name in os.listdir(DESCRIPTORS)]
    except OSError:
        return []
    return [descriptor for descriptor in found if descriptor > 2 and _is_inheritable(descriptor)]


def _is_inheritable(descriptor):
    try:
        return os.get_inheritable(descriptor)
    except OSError:  # that of the listing itself
        return False


def whole_path(name, path):
    """The file of a command by its name, in the folders of a PATH. Raises FileNotFoundError."""
    if "/" in name:
        return name
    for folder in path.split(":"):
        whole = os.path.join(folder, name)
        if os.access(whole, os.X_OK) and not os.path.isdir(whole):
            return whole
    raise FileNotFoundError(name)


def _exchange(ours, outs, data, end, close):
    """{descriptor: all that came of it}, while `data` goes into `ours`."""
    found: Dict[int, List[bytes]] = {descriptor: [] for descriptor in outs}
    at = 0
    events = select.poll()
    for descriptor in outs:
        events.register(descriptor, select.POLLIN)
    if data:
        os.set_blocking(ours, False)
        events.register(ours, select.POLLOUT)
    else:
        close(ours)
    waiting = len(outs) + bool(data)
    while waiting:
        ready = events.poll(max(0.0, end - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError
        for descriptor, _ in ready:
            if descriptor == ours:
                try:
                    at += os.write(ours, data[at : at + PIECE])
                except BlockingIOError:
                    continue
                except BrokenPipeError:  # it wants no more of it
                    at = len(data)
                over = at >= len(data)
            else:
                piece = os.read(descriptor, PIECE)
                found[descriptor].append(piece)
                over = not piece
            if over:
                events.unregister(descriptor)
                close(descriptor)
                waiting -= 1
    return {descriptor: b"".join(pieces) for descriptor, pieces in found.items()}


def _ended(pid, end):
    pause = SHORT
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(pause)
        pause = min(LONG, 2 * pause)


def _by_subprocess(argv, data, environment, patience):
    import subprocess

    try:
        done = subprocess.run(argv, input=data, capture_output=True, env=environment, timeout=patience)
    except subprocess.TimeoutExpired:
        raise TimeoutError
    return done.returncode, done.stdout, done.stderr
