"""Raw frames, inside a lab machine: runs there on its own, with nothing but Python's standard library.

    frames.py listen SECONDS READY [LINGER]     tokens (hex, one a line) on stdin; JSON {token: [frame, ...]} of what was heard on eth0
    frames.py send READY [SECONDS]              frames (hex, one a line) on stdin, to eth0, evenly over so many seconds

With LINGER it listens so many seconds more once each token was heard as often as it was given, and not to the end of SECONDS.

Both wait for one another by the file READY. A frame is told with its VLAN tag, which the kernel takes out and tells aside.
"""

import json
import os
import select
import socket
import struct
import sys
import time

ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 0x0003, 263, 8, 4
VLAN_VALID, TPID_VALID = 0x10, 0x40  # TP_STATUS_..., include/uapi/linux/if_packet.h


def listen(seconds, ready, linger=None):
    given = sys.stdin.read().split()
    heard, missing = {token: [] for token in given}, len(given)
    tokens = [bytes.fromhex(token) for token in heard]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as port:
        port.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        port.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE: a slow reader loses nothing
        port.bind(("eth0", ETH_P_ALL))
        open(ready, "w").close()
        deadline = time.monotonic() + seconds
        while select.select([port], [], [], max(0, deadline - time.monotonic()))[0]:
            frame, aside, _, sender = port.recvmsg(65536, 128)
            if sender[2] == PACKET_OUTGOING:
                continue
            for token in tokens:
                if token in frame:
                    missing -= len(heard[token.hex()]) < given.count(token.hex())
                    heard[token.hex()].append(whole(frame, aside).hex())
                    if linger is not None and not missing:
                        deadline = min(deadline, time.monotonic() + linger)
    json.dump(heard, sys.stdout)


def whole(frame, aside):
    for level, kind, data in aside:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data[:20])
            if status & VLAN_VALID:
                return frame[:12] + struct.pack("!HH", tpid if status & TPID_VALID else 0x8100, tci) + frame[12:]
    return frame


def send(ready, seconds=0.0):
    frames = [bytes.fromhex(line) for line in sys.stdin.read().split()]
    while not os.path.exists(ready):
        time.sleep(0.02)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as port:
        port.bind(("eth0", 0))
        for frame in frames:
            port.send(frame)
            time.sleep(seconds / len(frames))


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen(float(sys.argv[2]), sys.argv[3], *(float(word) for word in sys.argv[4:]))
    else:
        send(sys.argv[2], *(float(word) for word in sys.argv[3:]))
