"""Round trips inside WireGuard: an echo request to each tunnel's remote, and how long its answer took."""

import contextlib
import selectors
import time

from l2wg_hooks.probes import icmp_echo

# Bytes of the IP packet.
SIZE = 100
# So many far ends at most: each has a socket.
MOST = 32


def measure(tunnels, number, seconds):
    """Ask each tunnel's far ends, and wait so long: {tunnel: milliseconds, or None where no answer came meanwhile}.

    Of several far ends, the one that answers last counts; who does not answer is told of by `l2wg status`.

    `number` (16 bits) tells this question from those before. A tunnel whose underlay, or own end, is not there is left out.
    """
    end = time.monotonic() + seconds
    found, sent = {}, {}
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        # Anew each time: the WireGuard interface may be another one by now.
        underlays = {far: tunnel.underlay for tunnel in tunnels for far in tunnel.near_ends}
        for far in list(underlays)[:MOST]:
            try:
                echo = icmp_echo.Echo(underlays[far], far.local, far.remote)
            except OSError:
                continue
            stack.callback(echo.close)
            selector.register(echo, selectors.EVENT_READ, far)
            found.setdefault(far.tunnel, None)
            sent[far] = time.monotonic()
            echo.ask(number, SIZE)
        while time.monotonic() < end:
            for key, _ in selector.select(max(0, end - time.monotonic())):
                key.fileobj.hear()
                if number in key.fileobj.answered and key.data in sent:
                    found[key.data.tunnel] = 1000 * (time.monotonic() - sent.pop(key.data))
    return found
