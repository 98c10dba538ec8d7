"""What the kernel tells of network interfaces and their addresses (rtnetlink(7)), for whoever waits for some of it."""

import select
import socket
import struct
import time

# include/uapi/linux/rtnetlink.h, include/uapi/linux/if_link.h
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 1, 0x10, 0x100
RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR = 16, 17, 20, 21
IFLA_IFNAME = 3
# Bytes of struct nlmsghdr, and of it with struct ifinfomsg.
HEADER, LINK_HEADER = 16, 32
# Seconds without news after which what has changed counts as settled, and after which nobody waits for that any longer.
SETTLED, RESTLESS = 0.2, 2.0


class LinkChanges:
    """All that changes from the moment on when this is made. Used as a context, which ends it. Raises OSError."""

    def __init__(self):
        self.line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.line.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
        self.line.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.line.close()

    def wait(self, names, addresses, end):
        """Sleep until something has changed about an interface of these names, or, with `addresses`, any address.

        It has settled by then. What came since the last call counts. False where nothing has by `end`, a time.monotonic().
        """
        while not self._heard(names, addresses, end - time.monotonic()):
            if time.monotonic() >= end:
                return False
        restless = time.monotonic() + RESTLESS
        while time.monotonic() < restless and self._heard(names, addresses, SETTLED):
            pass
        return True

    def _heard(self, names, addresses, seconds):
        """Whether one of these is among what is told next; nothing may be told within that time."""
        if not select.select([self.line], [], [], max(0.0, seconds))[0]:
            return False
        try:
            found = subjects(self.line.recv(1 << 16))
        except BlockingIOError:
            return False
        except OSError:  # ENOBUFS: some of it is lost, and anything may have changed
            return True
        return any(name in names if name else addresses for name in found)


def subjects(data):
    """The names of the interfaces that a datagram is about; "" for an address."""
    at = 0
    while at + HEADER <= len(data):
        size, kind = struct.unpack_from("=IH", data, at)
        if size < HEADER or at + size > len(data):
            return
        if kind in (RTM_NEWADDR, RTM_DELADDR):
            yield ""
        elif kind in (RTM_NEWLINK, RTM_DELLINK):
            yield from _names(data[at + LINK_HEADER : at + size])
        at += size + 3 & ~3


def _names(attributes):
    at = 0
    while at + 4 <= len(attributes):
        size, kind = struct.unpack_from("=HH", attributes, at)
        if size < 4:
            return
        if kind == IFLA_IFNAME:
            yield attributes[at + 4 : at + size].split(b"\0")[0].decode("utf-8", "surrogateescape")
        at += size + 3 & ~3
