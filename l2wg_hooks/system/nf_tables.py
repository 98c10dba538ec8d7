"""What the kernel itself says of its nftables rules, by a message where nft(8) would be a process: whether they have changed."""

import struct

from l2wg_hooks.system import files, raw_socket
from l2wg_hooks.typed import NamedTuple, Optional

# include/uapi/linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h: types of messages and of attributes.
NETLINK_NETFILTER, NLM_F_REQUEST, NLMSG_ERROR, ENOENT = 12, 1, 2, 2
NFNL_SUBSYS_NFTABLES = 10 << 8
NEWTABLE, GETTABLE, NEWGEN, GETGEN = (NFNL_SUBSYS_NFTABLES | number for number in (0, 1, 15, 16))
NFTA_TABLE_NAME = NFTA_GEN_ID = 1
# linux/netfilter.h
FAMILIES = {"inet": 1, "bridge": 7}
# asm-generic/socket.h: the number of a network namespace that no other one gets as long as the kernel runs; of Linux 5.14.
SOL_SOCKET, SO_NETNS_COOKIE = 1, 71
BOOT = "/proc/sys/kernel/random/boot_id"
# Behind struct nlmsghdr, and behind struct nfgenmsg, too.
_HEAD, _BODY = 16, 20


class Generation(NamedTuple):
    """`number` is another one after each transaction that changes the rules of this network namespace, and counts up by one.

    `namespace` is a word for that which nothing else ever has; "" where the kernel has none for it, so that the number is only
    of use to the process that has asked.
    """

    number: int
    namespace: str = ""

    def is_next(self, before):
        """Whether there was one transaction since the Generation `before`, and no other one."""
        # It leaves out 0 (nf_tables_commit in net/netfilter/nf_tables_api.c).
        return before is not None and self == before._replace(number=before.number % (2**32 - 1) + 1)

    def __str__(self):
        return f"{self.namespace} {self.number}"


def generation() -> Optional[Generation]:
    """The Generation of now, of the caller's network namespace; None where the kernel does not tell, as in some containers."""
    try:
        with _opened() as kernel:
            number = parse(_answer(kernel, GETGEN))
            return None if number is None else Generation(number, _namespace(kernel))
    except (OSError, struct.error):
        return None


def has_table(family, name):
    """Whether there is a table; None where the kernel does not tell."""
    try:
        with _opened() as kernel:
            answer = _answer(kernel, GETTABLE, FAMILIES[family], _attribute(NFTA_TABLE_NAME, name.encode() + b"\0"))
            _, kind = struct.unpack_from("=IH", answer)
            if kind == NEWTABLE:
                return True
            return False if kind == NLMSG_ERROR and struct.unpack_from("=i", answer, _HEAD)[0] == -ENOENT else None
    except (OSError, struct.error):
        return None


def _opened():
    return raw_socket.Socket(raw_socket.AF_NETLINK, raw_socket.SOCK_RAW, NETLINK_NETFILTER)


def _answer(kernel, kind, family=0, attributes=b""):
    message = struct.pack("=BBH", family, 0, 0) + attributes
    kernel.send(struct.pack("=IHHII", _HEAD + len(message), kind, NLM_F_REQUEST, 1, 0) + message)
    return kernel.recv(1 << 13)


def _attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def parse(answer):
    """The number in an answer to GETGEN; None in any other. Raises struct.error for half a one."""
    at = _BODY
    if struct.unpack_from("=IH", answer)[1] != NEWGEN:
        return None
    while at < len(answer):
        size, kind = struct.unpack_from("=HH", answer, at)
        if kind == NFTA_GEN_ID:
            return struct.unpack_from(">I", answer, at + 4)[0]
        at += max(4, size + 3 & ~3)
    return None


def _namespace(kernel):
    try:
        number = struct.unpack("=Q", kernel.getsockopt(SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
    except (OSError, struct.error):
        return ""
    # Cookies begin anew with a kernel, and a container's /run may outlive one.
    boot = files.glance(BOOT).strip()
    return f"{boot}/{number}" if boot else ""
