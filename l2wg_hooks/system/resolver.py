"""Names of hosts, as this router's resolver knows them now."""

import socket
import threading
import time

from l2wg_hooks.typed import Dict, List, Tuple

# Threads, each with a call of the resolver.
_ASKERS = 16


def addresses(name, patience=None):
    """The addresses of a name, each once, in the order in which getaddrinfo(3) would have them tried.

    Empty where nobody knows it, or nobody has said so within `patience` seconds (None: however long that takes).
    """
    found: List[str] = []

    def ask():
        try:
            found.extend(dict.fromkeys(row[4][0] for row in socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)))
        except (OSError, UnicodeError):
            pass

    # Nothing can end a call of the resolver; this thread ends with us at the latest.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience)
    return list(found)


def ask(names, patience):
    """{name: addresses} of many names, by some calls at once; nobody waits longer than `patience` seconds for all of them."""
    found: Dict[str, Tuple[str, ...]] = {name: () for name in names}
    # Those that are not reached come first another time.
    left, start = sorted(found), int(time.time())
    left = left[start % len(left) :] + left[: start % len(left)] if left else []

    def work():
        while left:
            try:
                name = left.pop(0)
            except IndexError:  # another one has taken the last
                return
            found[name] = tuple(addresses(name))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_ASKERS, len(left)))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    left.clear()
    return dict(found)


def has_route(endpoint):
    """Whether this router has a way to ADDRESS:PORT. Nothing is sent: a UDP socket is bound to that way, and closed."""
    host, _, port = endpoint.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host.strip("[]"), int(port)))
        return True
    except OSError:
        return False
