"""Round trips inside WireGuard: an echo request to each tunnel's remote, and how long its answer took."""

import contextlib
import selectors
import time

from l2wg_hooks.probes import icmp_echo

# Bytes of the IP packet.
SIZE = 100
# So many tunnels at most: each has a socket.
MOST = 32


def measure(tunnels, number, seconds):
    """Ask each tunnel's remote, and wait so long: {tunnel: milliseconds, or None where no answer came meanwhile}.

    `number` (16 bits) tells this question from those before. A tunnel whose underlay, or own end, is not there is left out.
    """
    end = time.monotonic() + seconds
    found, sent = {}, {}
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        # Anew each time: the WireGuard interface may be another one by now.
        for tunnel in tunnels[:MOST]:
            try:
                echo = icmp_echo.Echo(tunnel.underlay, tunnel.local, tunnel.remote)
            except OSError:
                continue
            stack.callback(echo.close)
            selector.register(echo, selectors.EVENT_READ, tunnel.name)
            found[tunnel.name], sent[tunnel.name] = None, time.monotonic()
            echo.ask(number, SIZE)
        while time.monotonic() < end:
            for key, _ in selector.select(max(0, end - time.monotonic())):
                key.fileobj.hear()
                if number in key.fileobj.answered and found[key.data] is None:
                    found[key.data] = 1000 * (time.monotonic() - sent[key.data])
    return found
