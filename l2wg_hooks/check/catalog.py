"""Causes: all that `l2wg check` knows to be able to go wrong. The one table that it and docs/troubleshooting.md have. Pure.

An id is for programs (`l2wg check --json`): once released it keeps its meaning, and never comes back with another one.
"""

from typing import NamedTuple


class Cause(NamedTuple):
    """One cause of trouble. `symptom` is what an admin sees of it, `cure` what helps, in general words."""

    id: str
    symptom: str
    cause: str
    cure: str


# The symptoms, as somebody would search for them; docs/troubleshooting.md has a chapter for each.
NOTHING = "There is no tunnel, or nothing at all crosses it"
QUIET = "It worked, and stopped; or it works for some minutes only"
LARGE = "Small packets pass, large ones hang: bulk TCP stalls, ssh freezes at the first long output"
LEASE = "A device gets no lease, or one of the wrong network"
STORM = "The LAN is slow or floods; lamps of the switches do not rest"
REACH = "Some addresses cannot be reached, or another machine answers"
REBOOT = "It is gone after a reboot, or after WireGuard was restarted"
WAITS = "A change has no effect"
OPEN = "The wire works, but it is not closed to others"

TABLE = (
    Cause(
        "settings",
        WAITS,
        "A file in /etc/l2wg has a mistake, or asks for what cannot be: two tunnels with the same ends, an underlay "
        "that is no WireGuard.",
        "Mend the line that is named. Nothing of that tunnel is touched until then.",
    ),
    Cause(
        "unreadable",
        WAITS,
        "A file of interfaces(5) or wg-quick(8) is a named pipe, a socket or a device, or larger than such files are. ifup(8) "
        "and wg-quick(8) may wait for it for ever; l2wg reads nothing of it.",
        "Put it aside: the command is printed.",
    ),
    Cause(
        "port-address",
        WAITS,
        "A port of `bridge-ports` carries an IP address, and a port of a bridge has none.",
        "`l2wg apply --yes` moves it to the bridge where that is possible; or name another port.",
    ),
    Cause(
        "unconfirmed",
        WAITS,
        "`l2wg apply --confirm` waits for its confirmation, or an `apply` was ended half-way.",
        "`l2wg confirm`, or `l2wg rollback`.",
    ),
    Cause(
        "files-differ",
        WAITS,
        "The files that l2wg writes are not what /etc/l2wg asks for: one was edited since.",
        "`l2wg apply`.",
    ),
    Cause(
        "not-applied",
        WAITS,
        "The kernel is not as it is wished for: /etc/l2wg was edited, or somebody has changed an interface by hand.",
        "`l2wg apply`; each event does the same.",
    ),
    Cause(
        "waiting",
        WAITS,
        "Something is not there yet that the tunnel needs.",
        "Bring up what is named; the event wires the rest.",
    ),
    Cause(
        "networkmanager",
        WAITS,
        "NetworkManager manages a port or the bridge, and takes it out of the bridge when it finds no lease.",
        "`l2wg apply` has it let go; after its next start it reads interfaces(5) and knows.",
    ),
    Cause(
        "networkd",
        WAITS,
        "A .network file of systemd-networkd matches a port, the bridge or the tunnel.",
        "A file that sorts first, with `Unmanaged=yes`: the command is printed.",
    ),
    Cause(
        "names-port",
        REACH,
        "A port's address has moved to its bridge, and another program's file still names the port.",
        "Where it means the network and not the card, write the bridge's name.",
    ),
    Cause(
        "rights",
        OPEN,
        "Somebody else than root may write a file, or a directory, that decides what root does.",
        "`chown root: FILE; chmod go-w FILE`, and see what is in it.",
    ),
    Cause(
        "bridge-answers",
        OPEN,
        "A bridge that you define has no address, but is an interface of this router: it answers ARP for all of the router's "
        "addresses, forwards, and is configured by router advertisements of either site.",
        "A file in /etc/sysctl.d, which udev has read whenever the bridge is made: the command is printed. A bridge that l2wg "
        "defines (`bridge-ports`) is kept from it.",
    ),
    Cause("guard", OPEN, "The guard, clamp or fences are not in force, or somebody has changed their rules.", "`l2wg apply`."),
    Cause(
        "clamp",
        LARGE,
        "The MSS clamp by iptables (`mss-clamp = iptables`) is gone: somebody has flushed the table mangle.",
        "`l2wg apply`; or `mss-clamp = nftables`, whose rules are nobody else's.",
    ),
    Cause(
        "policy-route",
        LARGE,
        "The policy route of a VXLAN or a GRE tunnel over IPv6 is missing: the kernel drops its full-size frames.",
        "`l2wg apply`.",
    ),
    Cause(
        "underlay-absent",
        NOTHING,
        "The WireGuard interface is not there.",
        "`wg-quick up wg0`, and `systemctl enable wg-quick@wg0` for the next boot.",
    ),
    Cause(
        "underlay-down",
        NOTHING,
        "The WireGuard interface is there, but down.",
        "`wg-quick down wg0; wg-quick up wg0`, which brings back its routes, too.",
    ),
    Cause(
        "no-handshake",
        NOTHING,
        "WireGuard has never reached the peer: wrong public key on one side, wrong endpoint, a closed UDP port, or the "
        "peer is not up.",
        "Compare the public keys (`wg show`), the endpoint and the peer's ListenPort; let that UDP port in there.",
    ),
    Cause(
        "handshake-old",
        QUIET,
        "WireGuard reached the peer once, but gets no answer now: it is down, or has another address.",
        "See to the peer and its line; a side behind NAT needs `PersistentKeepalive = 25`.",
    ),
    Cause(
        "endpoint-stale",
        QUIET,
        "The peer's Endpoint is a DNS name that means another address now. WireGuard resolves names only once, when it starts.",
        "`wg set wg0 peer KEY endpoint NAME:PORT` resolves it again; for good: reresolve-dns of wireguard-tools, by a timer.",
    ),
    Cause(
        "endpoint-unresolved",
        QUIET,
        "The peer's Endpoint is a DNS name that nobody can resolve now, so a restart of WireGuard would hang and fail.",
        "Mend DNS on this router (`getent ahosts NAME`), or write the address.",
    ),
    Cause(
        "allowed-ips",
        NOTHING,
        "AllowedIPs of no peer cover `remote`: WireGuard drops the tunnel's packets, both ways.",
        "Add `remote` to the AllowedIPs of that peer; the line and the command are printed.",
    ),
    Cause(
        "peer-allowed-ips",
        NOTHING,
        "The peer answers the WireGuard address of this router, but not `local`: its AllowedIPs do not cover it, or it "
        "has no way back.",
        "Add `local` of this router to AllowedIPs there.",
    ),
    Cause(
        "bridge-absent",
        NOTHING,
        "The bridge is not there: nobody has brought it up, or nobody defines it.",
        "`ifup br0` where interfaces(5) defines it; else name `bridge-ports`, and l2wg defines it.",
    ),
    Cause("bridge-down", NOTHING, "The bridge is there, but down: it passes no frames.", "`ip link set dev br0 up`."),
    Cause(
        "port-absent",
        NOTHING,
        "A port of `bridge-ports` is not there: it has another name now, or its card is out.",
        "`ip -brief link` tells which there are; `l2wg set gretap1 bridge-ports=...; l2wg apply`.",
    ),
    Cause(
        "port-blocked",
        NOTHING,
        "The tunnel is a port of its bridge, but passes no frames yet: STP listens and learns; or it is disabled.",
        "Wait twice the bridge's forward delay, 30 s. A port that STP blocks is no fault: `bridge link show dev gretap1`.",
    ),
    Cause(
        "local-absent",
        NOTHING,
        "No interface of this router has the address `local`, so nothing that the peer sends arrives.",
        "Give it to an interface, or correct `local`, and `remote` on the peer.",
    ),
    Cause(
        "module-missing",
        NOTHING,
        "The kernel has no module for the tunnel, the bridge or the rules.",
        "Install a kernel that has it: linux-image-amd64 does, linux-image-cloud-amd64 and hosters' own may not.",
    ),
    Cause(
        "nft-form",
        WAITS,
        "A key asks for rules that this router's nft(8) or kernel does not take: an old nft(8), or a kernel without a module.",
        "`l2wg check -v` lists what both have, and since which version. Without that key the tunnel is made, guard and all; "
        "without the guard it is not.",
    ),
    Cause(
        "reboot-needed",
        NOTHING,
        "The kernel was upgraded, and the modules of the one that runs are gone from the disk.",
        "Reboot.",
    ),
    Cause(
        "route",
        REACH,
        "This router's own packets to `remote` do not leave by the underlay. The tunnel itself is bound to it and goes on.",
        "Give WireGuard the route: `ip route replace REMOTE/32 dev wg0`; wg-quick makes it of AllowedIPs, unless `Table = off`.",
    ),
    Cause(
        "rp-filter",
        NOTHING,
        "Strict reverse path filtering on the underlay drops what comes from `remote`, since the way back is by "
        "another interface.",
        "`sysctl -w net.ipv4.conf.wg0.rp_filter=2`; for good: a file in /etc/sysctl.d.",
    ),
    Cause(
        "peer-refuses",
        NOTHING,
        "The peer answers that nobody there takes the tunnel's packets: it has no tunnel that is up, or one with other "
        "ends, another key "
        "or encapsulation; or its firewall rejects them.",
        "Compare the files: `local` and `remote` must be swapped, `key` and `encapsulation` equal; then `l2wg check` there.",
    ),
    Cause(
        "encapsulation-differs",
        NOTHING,
        "One side has `encapsulation = gretap`, the other one vxlan.",
        "The same on both sides: `l2wg set gretap1 encapsulation=...; l2wg apply`.",
    ),
    Cause(
        "key-differs",
        NOTHING,
        "The sides have different keys (or VNIs).",
        "The same on both sides: `l2wg set gretap1 key=...; l2wg apply`.",
    ),
    Cause(
        "port-differs",
        NOTHING,
        "The sides have different UDP ports for VXLAN: 4789 is IANA's and the default, 8472 the kernel's own, which older VyOS, "
        "Freifunk and flannel have.",
        "The same on both sides: `l2wg set gretap1 port=...; l2wg apply`.",
    ),
    Cause(
        "ends-differ",
        NOTHING,
        "The sides are not each other's mirror: what is `local` there is not `remote` here, or the other way round.",
        "`remote` here is `local` there, and `local` here is `remote` there.",
    ),
    Cause(
        "path-mtu",
        LARGE,
        "Full-size packets get lost between the routers: the underlay's MTU is too large for the internet line (PPPoE, "
        "DS-Lite, mobile).",
        "`MTU = N` in [Interface] of wg0.conf, on both routers; N is measured, and printed with the command.",
    ),
    Cause(
        "wg-fragments",
        LARGE,
        "WireGuard's full-size packets do not fit the interface that they leave by, so each travels in two pieces: "
        "slow, and lost "
        "wherever fragments are dropped.",
        "`MTU = N` in [Interface] of wg0.conf; or leave the line out, and wg-quick computes it.",
    ),
    Cause(
        "bridge-mtu",
        LARGE,
        "The bridge has shrunk: a port with a small MTU has joined, and may have gone since.",
        "Give that port the LAN's MTU, or the tunnel the port's. Then set the bridge's, twice, since setting the value that it "
        "has does not count: `ip link set dev br0 mtu 1499; ip link set dev br0 mtu 1500`.",
    ),
    Cause(
        "bridge-mac",
        QUIET,
        "The bridge has its Ethernet address from a tunnel and gets another one as soon as a port joins: whoever talks "
        "to its IP address is "
        "cut off until ARP has forgotten the old one.",
        "Pin it: `ip link set dev br0 address ...`; for good, `hwaddress` in its stanza.",
    ),
    Cause(
        "dhcpcd",
        LEASE,
        "dhcpcd takes the tunnel or a port for a network card, and asks for a lease on it.",
        "`denyinterfaces` in /etc/dhcpcd.conf: the command is printed.",
    ),
    Cause(
        "tunnel-address",
        LEASE,
        "The tunnel interface has an IP address: the other site's network is routed into it.",
        "`ip address flush dev gretap1`, and find out which DHCP client gave it.",
    ),
    Cause(
        "firewall-input",
        NOTHING,
        "A firewall on this router drops the tunnel's packets. They belong to no connection (notrack), so a rule for "
        "established or new ones does not let them in.",
        "Let them in: the command for ufw, firewalld, iptables or nft is printed.",
    ),
    Cause(
        "firewall-forward",
        REACH,
        "br_netfilter shows bridged frames to a firewall whose policy for FORWARD is to drop (Docker sets it).",
        "`l2wg set gretap1 forward=accept; l2wg apply`, or the firewall's own command: it is printed.",
    ),
    Cause(
        "forwarding",
        REACH,
        "This router does not forward IP packets. The wire needs none of that, but the hosts that have it for their gateway do.",
        "`sysctl -w net.ipv4.ip_forward=1`; for good: `dpkg-reconfigure l2wg`, or a file in /etc/sysctl.d.",
    ),
    Cause(
        "dhcp-two-servers",
        LEASE,
        "Two DHCP servers answer on the joined LAN, one on either side of the tunnel, and a device takes whichever is quicker.",
        "Turn one off, or keep DHCP at home: `l2wg set gretap1 dhcp=block; l2wg apply`, on both routers.",
    ),
    Cause(
        "dhcp-twice",
        STORM,
        "One DHCP server's answer to one question arrives by two ports: there is a second way between the sites.",
        "Find and cut it, or have both bridges speak STP.",
    ),
    Cause(
        "loop",
        STORM,
        "Frames of this router come back to its bridge: there is a second way between the sites (a cable, a WLAN "
        "bridge, another VPN).",
        "Find and cut it, or have both bridges speak STP.",
    ),
    Cause(
        "storm",
        STORM,
        "More frames than `storm-limit` allows: a loop, a broken card, or too low a limit.",
        "See what sends them: `tcpdump -n -e -i gretap1`.",
    ),
    Cause(
        "duplicate-address",
        REACH,
        "Another machine on the joined LAN has an address of this router, or two have the gateway's.",
        "Give one of them another address; both sites' routers often are .1 when two LANs become one.",
    ),
    Cause(
        "subnet-twice",
        REACH,
        "Both sites use the same subnet, on different segments: this router has it on an interface that is not the bridge.",
        "Renumber one of them, or make that interface a port of the bridge.",
    ),
    Cause(
        "postup-missing",
        REBOOT,
        "wg0.conf has not both lines that tell l2wg when WireGuard comes and goes.",
        "`l2wg attach wg0`.",
    ),
    Cause(
        "postup-unread",
        REBOOT,
        "wg0.conf has our PostUp and PostDown, but wg(8) reads it (`wg setconf` in interfaces(5), a unit or a script): wg(8) "
        "takes nothing of such a file, so WireGuard does not come up the next time.",
        "`l2wg detach wg0`. Where ifupdown brings it up, its own hook does what these lines would.",
    ),
    Cause(
        "route-clash",
        REBOOT,
        "wg-quick makes a route of an AllowedIPs by `ip route add`, and another interface has the same one: the bridge's own "
        "network, mostly. It works until WireGuard is started the next time: then it says `File exists`, and wg0 is gone.",
        "In AllowedIPs `remote`/32 (/128) in the place of that network: the commands are printed. Or `Table = off`.",
    ),
    Cause(
        "postup-doubled",
        REBOOT,
        "wg0.conf has one of our lines more than once.",
        "`l2wg detach wg0; l2wg attach wg0`.",
    ),
    Cause(
        "postup-elsewhere",
        REBOOT,
        "A line in wg0.conf calls l2wg for another interface: it was copied from that one's file.",
        "Write `%i` in the place of the name.",
    ),
    Cause(
        "postup-by-hand",
        REBOOT,
        "wg0.conf has lines that make the same tunnel by hand; whichever comes second fails, and a failing PostUp costs the VPN.",
        "Delete these lines: l2wg looks after the tunnel.",
    ),
    Cause(
        "postup-unsafe",
        REBOOT,
        "A line of ours in wg0.conf has lost its `|| :`, so that it costs the VPN where l2wg is not installed.",
        "Write `|| :` at its end again.",
    ),
    Cause(
        "not-sourced",
        REBOOT,
        "/etc/network/interfaces does not source interfaces.d, so the bridge that l2wg defines there is gone after a reboot.",
        "`source /etc/network/interfaces.d/*` in it.",
    ),
    Cause(
        "aside-lost",
        REBOOT,
        "The comments in /etc/network/interfaces with what a port carried before it became one of the bridge are gone, or not "
        "all there: somebody has rewritten the file. The bridge keeps what it has, by a copy.",
        "Nothing is lost. The command that is printed puts the comments back, so that a purge leaves the file as it was.",
    ),
    Cause(
        "ifupdown-absent",
        REBOOT,
        "l2wg has defined the bridge in /etc/network/interfaces.d/l2wg, but there is no ifup that would read it.",
        "`apt install ifupdown`; or define the bridge in what you use instead, and leave `bridge-ports` empty.",
    ),
)
BY_ID = {one.id: one for one in TABLE}

HEAD = """# Troubleshooting

What `l2wg check` looks for: symptom, cause, cure. Run it first, on both routers: it says which of these it is, with the
names, numbers and commands of your case. It changes nothing. `-v` lists what it has looked at, `--json` is for programs,
and the words in `this type` are the ids there.

This page is made from the table in `l2wg_hooks/check/catalog.py`, by `make docs`.
"""


def page():
    """The text of docs/troubleshooting.md."""
    symptoms = []
    for one in TABLE:
        if one.symptom not in symptoms:
            symptoms.append(one.symptom)
    parts = [HEAD]
    for symptom in sorted(symptoms, key=ORDER.index):
        parts.append(f"## {symptom}\n\n| id | cause | cure |\n|---|---|---|")
        rows = [one for one in TABLE if one.symptom == symptom]
        parts[-1] += "".join(f"\n| `{one.id}` | {_cell(one.cause)} | {_cell(one.cure)} |" for one in rows) + "\n"
    return "\n".join(parts)


ORDER = (NOTHING, QUIET, LARGE, LEASE, REACH, STORM, REBOOT, WAITS, OPEN)


def _cell(text):
    return text.replace("|", "\\|")
