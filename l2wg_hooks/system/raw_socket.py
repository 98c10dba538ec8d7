"""Sockets without socket(3py): its module makes enumerations of all constants there are, which is a third of an event.

It is for what an event needs a socket for, and has no more than that: the half that is written in C, and `with`.
"""

import _socket
from _socket import AF_NETLINK, AF_PACKET, AF_UNIX, AF_UNSPEC, NETLINK_ROUTE, SOCK_DGRAM, SOCK_RAW  # noqa: F401


class Socket(_socket.socket):
    """Closed when `with` ends."""

    __slots__ = ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
