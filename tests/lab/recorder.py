#!/usr/bin/python3
"""What ip(8), bridge(8), ss(8) and nft(8) print, recorded in a lab machine for tests/golden/tools. Python 3, nothing else.

    tests/lab/sh NAME --put tests/lab/recorder.py --put l2wg_hooks/system/features.py --put tests/golden/rules/reference.nft ... \
        --put tests/golden/firewalls/hand-written.nft 'python3 recorder.py ENTRY...' >recording.json
    python3 tests/lab/recorder.py lay recording.json

ENTRY is TOOL-VERSION, of the commands in PATH, or TOOL-VERSION=FOLDER of those in a folder. All of one state are asked for
before the next one is made, so whatever differs between two versions is the versions' own doing.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

OBSERVE = "ip -json -details address show"
LAYER3 = ["ip -4 route show table all dev %s", "ip -6 route show table all dev %s"]
DEFAULTS = ["ip -4 route show default", "ip -6 route show default"]
RULES = ["ip -json -4 rule show", "ip -json -6 rule show", "ip -4 rule show", "ip -6 rule show"]
MAC = "fe:ff:ab:cc:78:%02d"
LAN = """
ip link set lo up
ip link add e0 address 52:54:00:00:01:01 type veth peer name peer0 address 52:54:00:00:02:01
ip link add e1 address 52:54:00:00:01:02 type veth peer name peer1 address 52:54:00:00:02:02
ip link set e0 up; ip link set peer0 up; ip link set e1 up; ip link set peer1 up
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
ip address add 192.0.2.7/24 dev e0; ip -6 address add 2001:db8::7/64 dev e0 nodad
"""
BRIDGE = """
ip link add br0 address 52:54:00:00:03:01 type bridge
ip link set br0 up; ip link set e1 master br0
ip address add 192.168.178.1/24 broadcast 192.168.178.255 dev br0
ip -6 address add fd00:1::1/64 dev br0 nodad
"""
WIREGUARD = """
ip link add wg0 type wireguard; ip address add 10.15.14.2/24 dev wg0; ip -6 address add fd09::1/64 dev wg0 nodad; ip link set wg0 mtu 1420 up
ip route add 192.168.92.0/24 dev wg0
"""
GRETAP = "ip link add gretap1 address " + MAC % 1 + " mtu 1500 type gretap local 192.168.178.1 remote 192.168.92.1 dev wg0 nopmtudisc ignore-df\n"

# {state: (how it is made, what is asked)}
STATES = {
    "nothing": ("", [OBSERVE, "bridge -json -statistics fdb show"] + DEFAULTS + RULES),
    "reference": (
        LAN
        + BRIDGE
        + WIREGUARD
        + GRETAP
        + """
ip link set gretap1 alias l2wg; ip link set gretap1 addrgenmode none; ip link set br0 mtu 1499; ip link set br0 mtu 1500
ip link set gretap1 master br0; ip link set gretap1 type bridge_slave isolated on; ip link set gretap1 up
ip link set br0 type bridge group_fwd_mask 0x4008 stp_state 1 nf_call_iptables 1 nf_call_ip6tables 1
ip route add default via 192.0.2.1 dev e0; ip -6 route add default via 2001:db8::1 dev e0
bridge fdb add 02:00:00:00:00:01 dev e1 master static; bridge fdb add 02:00:00:00:00:02 dev e1 master dynamic vlan 1
bridge fdb add 02:00:00:00:00:03 dev gretap1 master dynamic; bridge fdb add 33:33:00:00:00:99 dev e0
""",
        [OBSERVE, "ip -json -details -statistics address show", "bridge -json -statistics fdb show"]
        + DEFAULTS
        + RULES
        + [command % name for command in LAYER3 for name in ("br0", "e0", "wg0", "e1")]
        + ["ip -json -6 address show dev br0 dadfailed", "ip route show match 10.15.14.1", "ip route show dev wg0 match 192.168.92.1"],
    ),
    "kinds": (
        LAN
        + BRIDGE
        + WIREGUARD
        + GRETAP
        + """
ip link add keyed address """
        + MAC % 2
        + """ type gretap local 192.168.178.1 remote 192.168.92.1 dev wg0 key 4294967295 nopmtudisc ignore-df
ip link add two type gretap local 192.168.178.1 remote 192.168.92.2 ikey 1 okey 2.0.0.1 ttl 64
ip link add six type ip6gretap local fd09::1 remote fd09::2 dev wg0 encaplimit none
ip link add sixkey type ip6gretap local fd09::1 remote fd09::3 dev wg0 key 7
ip link add vx4 type vxlan id 7 local 192.168.178.1 remote 192.168.92.1 dstport 4789 learning
ip link add vx6 type vxlan id 16777215 local fd09::1 remote fd09::2 dstport 4789 learning
ip link add vxdev type vxlan id 8 group 239.0.0.1 dev wg0 dstport 8472
ip link add vxext type vxlan external dstport 4790
ip link add bare type gretap external
ip link add gre1 type gre local 192.168.178.1 remote 192.168.92.1 dev wg0 key 3
ip link add sit1 type sit local 192.168.178.1 remote 192.168.92.1
ip link add ipip1 type ipip local 192.168.178.1 remote 192.168.92.1
ip link add er1 type erspan seq key 30 local 192.168.178.1 remote 192.168.92.1 erspan_ver 1 erspan 100
ip link add e0.5 link e0 type vlan id 5; ip link add link e0 name mv0 type macvlan mode bridge
ip link add red type vrf table 10; ip link set red up; ip link set mv0 master red
ip link add bond0 type bond mode active-backup; ip link add br1 type bridge vlan_filtering 1 vlan_default_pvid 0; ip link add br2 type bridge
ip link set e0.5 master br1; ip link set e1 type bridge_slave isolated on
ip link del bare; ip link del vxext; ip tuntap add tun0 mode tun; ip tuntap add tap0 mode tap
ip address add 10.9.9.1 peer 10.9.9.2/32 dev mv0; ip address add 10.9.9.9/24 dev mv0 label mv0:1
ip link set e0 alias 'a "name" of its own'
""",
        [OBSERVE, "bridge -json -statistics fdb show"] + [command % name for command in LAYER3 for name in ("br0", "mv0", "wg0")],
    ),
    "dead": (
        LAN
        + BRIDGE
        + WIREGUARD
        + GRETAP
        + """
ip link set gretap1 master br0; ip link del wg0; ip link set peer1 down; ip link set br0 down; ip address add 10.1.1.1/32 dev lo
""",
        [OBSERVE, "bridge -json -statistics fdb show"],
    ),
    "routes": (
        LAN
        + BRIDGE
        + WIREGUARD
        + """
ip route add default via 192.0.2.1 dev e0 metric 100 mtu 1400
ip route add default via 192.0.2.2 dev e0 metric 200 onlink proto dhcp src 192.0.2.7
ip route add default metric 300 nexthop via 192.0.2.3 dev e0 weight 1 nexthop via 192.168.178.9 dev br0 weight 2
ip route add unreachable default metric 4278198272
ip -6 route add default via 2001:db8::1 dev e0 metric 50 mtu lock 1300
ip -6 route add default via fe80::1 dev e0 metric 60 proto ra
ip -6 route add unreachable default metric 4278198272
ip route add blackhole 10.66.0.0/16; ip route add prohibit 10.67.0.0/16; ip route add unreachable 10.68.0.0/16
ip route add 10.70.0.0/16 via inet6 fe80::1 dev e0
ip route add 10.71.0.0/16 dev wg0 scope link src 192.168.178.1 mtu lock 1300 advmss 1200
ip route add 10.72.0.0/16 via 192.168.178.9 dev br0 tos 0x10
ip -6 route add fd72::/16 via fe80::9 dev br0 metric 5 pref high
ip -6 route add fd73::/16 via fe80::9 dev br0 expires 100000
ip link set br0 type bridge stp_state 0
""",
        DEFAULTS
        + [command % name for command in LAYER3 for name in ("br0", "e0", "wg0")]
        + ["ip route show match 10.71.1.1", "ip route show match 9.9.9.9", "ip route show dev wg0 match 10.71.0.1", "ip route show match 10.66.1.1"],
    ),
    "ways": (
        LAN
        + BRIDGE
        + WIREGUARD
        + """
n=1815248896
ip route replace unreachable 0.0.0.0/0 table $n metric 4294967295 proto kernel
ip route replace 10.9.0.2 dev wg0 table $n mtu 1558 proto kernel
ip rule add priority 4789 from 10.9.0.1 to 10.9.0.2 ipproto udp dport 4789 table $n protocol kernel
n=1815248897
ip -6 route replace unreachable ::/0 table $n metric 4294967295 proto kernel
ip -6 route replace fd09::2 dev wg0 table $n mtu 1566 proto kernel
ip -6 rule add priority 4789 from fd09::1 to fd09::2 ipproto gre table $n protocol kernel
ip rule add priority 4789 from 10.9.0.5 to 10.9.0.6 ipproto udp dport 4789 table 1815248898 protocol kernel
""",
        RULES
        + [
            "ip -4 route show table 1815248896",
            "ip -6 route show table 1815248897",
            "ip -4 route show table 1815248898",
            "ip -json -4 route show table 1815248896",
            "ip -json -6 route show table 1815248897",
        ],
    ),
    "policies": (
        LAN
        + BRIDGE
        + WIREGUARD
        + """
ip link add red type vrf table 10; ip link set red up
for f in -4 -6; do
ip $f rule add not fwmark 51820 table 51820; ip $f rule add table main suppress_prefixlength 0
ip $f rule add iif e0 table 100; ip $f rule add oif e1 table 101; ip $f rule add iif gone table 102
ip $f rule add fwmark 0x10/0xff table 103; ip $f rule add ipproto tcp sport 1000-2000 dport 22 table 104
ip $f rule add uidrange 1000-2000 table 105; ip $f rule add priority 500 goto 600; ip $f rule add priority 600 nop
ip $f rule add priority 700 unreachable; ip $f rule del priority 700; ip $f rule add tos 0x10 table 106; ip $f rule add realms 5 table 107 || :
done
ip rule add from 10.1.0.0/16 to 10.2.0.0/16 table 108; ip rule add priority 701 from 10.6.0.0/16 prohibit; ip rule add priority 702 from 10.7.0.0/16 blackhole
ip rule add tun_id 5 table 109 || :
""",
        RULES,
    ),
    "get": (
        LAN
        + BRIDGE
        + WIREGUARD
        + """
ip route add default via 192.0.2.1 dev e0; ip -6 route add default via 2001:db8::1 dev e0
ip route add blackhole 10.66.0.0/16; ip route add prohibit 10.67.0.0/16; ip route add unreachable 10.68.0.0/16
ip route add 10.70.0.0/16 via inet6 fe80::1 dev e0; ip route add 10.71.0.0/16 dev wg0 mtu 1300; ip route add 10.73.0.0/16 dev wg0 mtu lock 1300
ip route add 10.74.0.0/16 nexthop via 192.0.2.3 dev e0 nexthop via 192.0.2.4 dev e0
ip -6 route add blackhole fd66::/16; ip -6 route add unreachable fd68::/16; ip -6 route add fd71::/16 dev wg0 mtu 1300
ip link add red type vrf table 10; ip link set red up; ip link add mv0 link e0 type macvlan; ip link set mv0 master red up
ip address add 10.80.0.1/24 dev mv0; ip route add default via 10.80.0.9 dev mv0 table 10
""",
        [
            "ip route get " + words
            for words in (
                "198.51.100.1",
                "2001:db8:9::1",
                "192.168.178.1",
                "fd00:1::1",
                "192.168.178.10",
                "192.168.92.1 from 192.168.178.1",
                "192.0.2.99",
                "127.0.0.1",
                "::1",
                "fe80::5 dev e0",
                "fe80::5 dev br0",
                "192.168.178.255",
                "255.255.255.255",
                "224.0.0.5",
                "ff02::1 dev e0",
                "10.66.0.1",
                "10.67.0.1",
                "10.68.0.1",
                "10.70.0.1",
                "10.71.0.1",
                "10.73.0.1",
                "10.74.0.1",
                "fd66::1",
                "fd68::1",
                "fd71::1",
                "10.80.0.5 vrf red",
                "8.8.8.8 vrf red",
                "10.15.14.1 from 9.9.9.9",
                "fd09::2 from fd09::1",
                "fd00:1::7 from fd00:1::1",
            )
        ]
        + ["ip -json route get 198.51.100.1", "ip -json route get 10.66.0.1", "ip -json route get 2001:db8:9::1"],
    ),
    "closed": (LAN, ["ip route get 198.51.100.1", "ip route get 2001:db8:9::1", "ip -4 route get 192.0.2.9"] + DEFAULTS),
    "neighbours": (
        LAN
        + """
ip neighbour add 192.0.2.1 lladdr 52:54:00:00:02:01 dev e0 nud reachable; ip neighbour add 2001:db8::1 lladdr 52:54:00:00:02:01 dev e0 nud reachable router
ping -c1 -W1 192.0.2.99 >/dev/null
ip neighbour add 192.0.2.50 lladdr 02:00:00:00:00:50 dev e0 nud permanent; ip neighbour add 192.0.2.51 lladdr 02:00:00:00:00:51 dev e0 nud noarp
ip neighbour add 192.0.2.52 lladdr 02:00:00:00:00:52 dev e0 nud stale; ip neighbour add proxy 192.0.2.53 dev e0; sleep 4
""",
        [
            "ip -json neighbour show to %s dev e0" % address
            for address in ("192.0.2.1", "2001:db8::1", "192.0.2.99", "192.0.2.50", "192.0.2.51", "192.0.2.52", "192.0.2.53", "192.0.2.77")
        ],
    ),
    "logins": (
        LAN
        + """
cp $(readlink -f $(command -v python3)) /tmp/sshd
cat >/tmp/login.py <<'X'
import socket, time
pairs = []
for family, address in ((2, "192.0.2.7"), (10, "2001:db8::7"), (2, "127.0.0.1")):
    server = socket.socket(family); server.bind((address, 2200)); server.listen()
    client = socket.create_connection((address, 2200), source_address=(address, 2201)); pairs += [server, client, server.accept()]
server = socket.socket(10); server.setsockopt(41, 26, 0); server.bind(("::", 2202)); server.listen()
pairs += [server, socket.create_connection(("192.0.2.7", 2202), source_address=("192.0.2.7", 2203)), server.accept()]
open("/tmp/login.ready", "w"); time.sleep(60)
X
rm -f /tmp/login.ready; /tmp/sshd /tmp/login.py & for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e /tmp/login.ready ] || sleep 1; done
""",
        ["ss -H -t -n -p state established"],
    ),
    "batch": (LAN + BRIDGE + WIREGUARD + GRETAP, []),
}
# Lines for `ip -batch -`: what fails there, and how that is told.
BATCHES = {
    "exists": "link set dev br0 up\nlink add name gretap1 type dummy\nlink set dev br0 up\n",
    "same-ends": "link set dev br0 up\nlink add name g2 type gretap local 192.168.178.1 remote 192.168.92.1 dev wg0 nopmtudisc ignore-df\n",
    "gone": "link set dev br0 up\nlink set dev br0 up\nlink set dev gone up\n",
    "no-route": "route delete 10.99.0.0/16 dev wg0\n",
    "no-word": "link set dev br0 nonsense 5\n",
    "right": "link set dev br0 up\nlink set dev gretap1 alias l2wg\nlink set dev gretap1 addrgenmode none\nlink set dev gretap1 master br0\n"
    "link set dev gretap1 type bridge_slave isolated on\nlink set dev br0 type bridge group_fwd_mask 0x4008\nlink set dev gretap1 mtu 1400\n"
    "link add name six type ip6gretap local fd09::1 remote fd09::2 dev wg0 encaplimit none\n"
    "link add name vx type vxlan id 5 local 192.168.178.1 remote 192.168.92.1 dstport 4789 learning\n"
    "rule add priority 4789 from 10.9.0.1 to 10.9.0.2 ipproto udp dport 4789 table 1815248896 protocol kernel\n"
    "route replace unreachable 0.0.0.0/0 table 1815248896 metric 4294967295 proto kernel\n",
}


# A set's elements and counters are each time others.
LISTS = ["nft -s list table inet l2wg", "nft -s list table bridge l2wg", "nft list table inet l2wg", "nft list table bridge l2wg"]


def record_nft(entries):
    """{file: text} of what each nft(8) makes of the rule sets beside this file, and of the forms that system/features.py asks for."""
    import features  # beside this file

    found = {}
    for name, folder in entries:
        if not name.startswith("nft"):
            continue
        for path in sorted(Path(".").glob("*.nft")):
            fresh()
            foreign = path.name == "hand-written.nft"
            own = told_of(["nft", "-f", str(path)], folder)
            for query in ["nft list ruleset", "nft -j list ruleset"] if foreign else LISTS:
                own += told_of(query.split(), folder)
            found["%s/%s" % (name, path.name[:-4])] = own
        fresh()
        forms = [feature for feature in features.FEATURES if feature.tool == features.NFT and feature.text]
        found[name + "/forms"] = "".join(told_of(list(feature.argv), folder, feature.text, " # " + feature.name) for feature in forms)
    return found


def fresh():
    subprocess.run("ip netns del rec; ip netns add rec", shell=True, stderr=subprocess.DEVNULL)


def told_of(argv, folder, stdin="", comment=""):
    return "$ %s%s\n%s%s" % (" ".join(argv), comment, marked("< ", stdin), told(ask(into_ns(argv, folder), folder, stdin)))


def ask(argv, folder, stdin=""):
    path = (folder + ":" if folder else "") + "/usr/sbin:/usr/bin:/sbin:/bin"
    words = ["env", "-i", "PATH=" + path, "LC_ALL=C"] + argv
    done = subprocess.run(words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    return [done.returncode, done.stdout, done.stderr]


def record(entries):
    """{file: text} of all that is asked for, by the tools of `entries`, (name, folder) each."""
    found = {}
    for state, (made, queries) in STATES.items():
        subprocess.run("ip netns del rec; ip netns add rec", shell=True, stderr=subprocess.DEVNULL)
        into = ["ip", "netns", "exec", "rec"]
        done = subprocess.run(into + ["sh", "-xc", made], stdout=subprocess.DEVNULL, stderr=open("/tmp/record.log", "a"))
        for name, folder in entries:
            if not name.startswith("iproute2"):
                continue
            own = ["%s\n%s" % ("$ " + query, told(ask(into_ns(query.split(), folder), folder))) for query in queries]
            if state == "batch":
                for what, lines in BATCHES.items():
                    subprocess.run("ip netns del rec; ip netns add rec", shell=True, stderr=subprocess.DEVNULL)
                    subprocess.run(into + ["sh", "-c", made], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    own.append("$ ip -batch - # %s\n%s%s" % (what, marked("< ", lines), told(ask(into_ns(["ip", "-batch", "-"], folder), folder, lines))))
            found["%s/%s" % (name, state)] = "".join(own)
        if done.returncode:
            sys.stderr.write("%s: rc %d\n" % (state, done.returncode))
    subprocess.run("ip netns del rec", shell=True, stderr=subprocess.DEVNULL)
    return found


def into_ns(argv, folder):
    command = os.path.join(folder, argv[0]) if folder and os.path.exists(os.path.join(folder, argv[0])) else argv[0]
    return ["nsenter", "--net=/run/netns/rec", command] + argv[1:]


def marked(mark, text):
    return "".join(mark + line + "\n" for line in text.splitlines())


def told(result):
    """How a command ended: its code, what it printed (| ) and what it said (! )."""
    return "code %d\n%s%s" % (result[0], marked("| ", result[1]), marked("! ", result[2]))


def main():
    if sys.argv[1:2] == ["lay"]:
        top = Path(__file__).resolve().parents[1] / "golden" / "tools"
        for name, text in json.loads(Path(sys.argv[2]).read_text()).items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(text)
        return
    entries = [tuple(word.partition("=")[::2]) for word in sys.argv[1:]]
    print(json.dumps(dict(record(entries), **record_nft(entries))))


if __name__ == "__main__":
    main()
