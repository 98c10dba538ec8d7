"""Which port is free, and which bridge has a LAN behind it: the cases that debconf's perl and Python are both fed.

A case is a router whose enp3s0 is a free Ethernet port, and what is different there. Both implementations see the same tree of
files, and the same answers of ip(8) and bridge(8).
"""

import os
from typing import Dict, NamedTuple, Tuple

PORT = "enp3s0"
MAC = "52:54:00:00:03:03"
# As they are printed: net/packet/af_packet.c, drivers/net/ppp/pppoe.c.
PACKET = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
PPPOE = "Id       Address              Device\n"
FDB = MAC + " dev enp3s0 self permanent\n33:33:00:00:00:01 dev enp3s0 self permanent\n01:00:5e:00:00:01 dev enp3s0 self permanent\n"


class Case(NamedTuple):
    """`files` are {path: text}, a folder where the text is None; a path that begins with "-" is not there.

    `addresses` are the port's, `says` what a command prints. `right` is the word for the port or the bridge `about`.
    """

    files: Dict[str, str] = {}
    addresses: Tuple[str, ...] = ()
    says: Dict[str, str] = {}
    right: bool = False
    about: str = PORT


NET = "sys/class/net/"
ENI = "etc/network/interfaces"
IP4, IP6, SELVES = "ip -4 route show table all dev enp3s0", "ip -6 route show table all dev enp3s0", "bridge fdb show dev enp3s0"
NETWORK = "etc/systemd/network/"


def socket(protocol, index=7):
    return PACKET + "ffff8f6a43e4a000 3      3    %s   %d     1 0      0      21342\n" % (protocol, index)


# Is enp3s0 free?
PORTS = {
    "nothing": Case(right=True),
    "no hardware": Case({"-" + NET + "enp3s0/device": ""}),
    "no Ethernet": Case({NET + "enp3s0/type": "512\n"}),
    "radio": Case({NET + "enp3s0/wireless": None}),
    "radio of a new driver": Case({NET + "enp3s0/phy80211": None}),
    "modem": Case({NET + "enp3s0/uevent": "DEVTYPE=wwan\nINTERFACE=enp3s0\n"}),
    "port of a switch": Case({NET + "enp3s0/uevent": "DEVTYPE=dsa\nINTERFACE=enp3s0\n"}, right=True),
    "port of a bridge": Case({NET + "enp3s0/master": None, NET + "enp3s0/upper_br0": None}),
    "parent of a VLAN": Case({NET + "enp3s0/upper_enp3s0.7": None}),
    "parent of a macvlan": Case({NET + "enp3s0/upper_lan0": None}),
    "parent of a MACsec": Case({NET + "enp3s0/upper_macsec0": None}),
    "parent of a macvlan in a container": Case(says={SELVES: FDB + "5a:11:22:33:44:55 dev enp3s0 self permanent\n"}),
    "its own addresses": Case(says={SELVES: FDB}, right=True),
    "an address": Case(addresses=("10.7.0.1/24",)),
    "an IPv6 address": Case(addresses=("2001:db8::1/64",)),
    "a link-local address": Case(
        addresses=("fe80::1/64",),
        says={
            IP6: "fe80::/64 proto kernel metric 256 pref medium\nlocal fe80::1 table local proto kernel metric 0 pref medium\n"
            "multicast ff00::/8 table local proto kernel metric 256 pref medium\n"
        },
        right=True,
    ),
    "a route": Case(says={IP4: "10.0.0.0/8 scope link\n"}),
    "an IPv6 route": Case(says={IP6: "default via fe80::2 proto static metric 1024 pref medium\n"}),
    "PPPoE of the kernel": Case({"proc/net/pppoe": PPPOE + "00000001 00:11:22:33:44:55    enp3s0\n"}),
    "PPPoE of another port": Case({"proc/net/pppoe": PPPOE + "00000001 00:11:22:33:44:55   enp3s01\n"}, right=True),
    "PPPoE of a program": Case({"proc/net/packet": socket("8864")}),
    "802.1X": Case({"proc/net/packet": socket("888e")}),
    "802.1X of another port": Case({"proc/net/packet": socket("888e", 77)}, right=True),
    "a DHCP client": Case({"proc/net/packet": socket("0800")}),
    "tcpdump": Case({"proc/net/packet": socket("0003")}, right=True),
    "LLDP": Case({"proc/net/packet": socket("88CC")}, right=True),
    "a stanza": Case({ENI: "iface enp3s0 inet manual\n"}),
    "a stanza's comment": Case({ENI: "# iface enp3s0 inet dhcp\n"}, right=True),
    "a bond's stanza": Case({ENI + ".d/x": "auto bond0\niface bond0 inet manual\n bond-slaves enp3s0 enp4s0\n"}),
    "a VLAN's stanza": Case({ENI: "iface enp3s0.7 inet dhcp\n"}),
    "a VLAN's stanza by another name": Case({ENI: "iface vlan7 inet dhcp\n vlan-raw-device enp3s0\n"}),
    "a command of a stanza": Case({ENI: "iface lan inet dhcp\n pre-up ip link add link enp3s0 name lan type macvlan\n"}),
    "an option of a command": Case({ENI: "iface lan inet dhcp\n pre-up wpa_supplicant -B -Dwired -ienp3s0 -c/etc/x\n"}),
    "a longer name": Case({ENI: "iface enp3s01 inet dhcp\niface xenp3s0 inet dhcp\niface enp3s0-x inet dhcp\n"}, right=True),
    "a sourced file": Case({ENI: "source {root}/etc/network/more/*.cfg\n", "etc/network/more/x.cfg": "iface enp3s0 inet manual\n"}),
    "a sourced file by a short name": Case({ENI: "source more/*\n", "etc/network/more/x": "iface enp3s0 inet manual\n"}),
    "a sourced folder": Case({ENI: "source-directory more\n", "etc/network/more/x": "iface enp3s0 inet manual\n"}),
    "a peer of pppd": Case({"etc/ppp/peers/dsl": "plugin rp-pppoe.so enp3s0\n"}),
    "a peer of a newer pppd": Case({"etc/ppp/peers/dsl": "plugin pppoe.so\nnic-enp3s0\n"}),
    "rp-pppoe": Case({"etc/ppp/pppoe.conf": "ETH=enp3s0\n"}),
    "wpa_supplicant's file": Case({"etc/wpa_supplicant/wpa_supplicant-wired-enp3s0.conf": "ap_scan=0\n"}),
    "wpa_supplicant's unit": Case({"etc/systemd/system/multi-user.target.wants/wpa_supplicant-wired@enp3s0.service": ""}),
    "wpa_supplicant of another port": Case({"etc/wpa_supplicant/wpa_supplicant-wired-enp3s01.conf": "ap_scan=0\n"}, right=True),
    "hostapd": Case({"etc/hostapd/wired.conf": "driver=wired\ninterface=enp3s0\n"}),
    "networkd": Case({NETWORK + "wan.network": "[Match]\nName=enp3s0\n[Network]\nVLAN=wan7\n"}),
    "networkd's drop-in": Case({NETWORK + "10-x.network.d/x.conf": "[Match]\nName=enp3s0\n"}),
    "networkd of netplan": Case({"run/systemd/network/10-netplan-enp3s0.network": "[Match]\nName=enp3s0\n"}),
    "networkd is told to leave it": Case({NETWORK + "x.network": "[Match]\nName=enp3s0\n[Link]\nUnmanaged=yes\n"}, right=True),
    "a name by udev": Case({NETWORK + "10-x.link": "[Match]\nMACAddress=52:54:00:00:03:03\n[Link]\nName=enp3s0\n"}, right=True),
    "netplan": Case({"etc/netplan/x.yaml": "network:\n  vlans:\n    wan7: {id: 7, link: enp3s0}\n"}),
    "NetworkManager": Case({"etc/NetworkManager/system-connections/vlan.nmconnection": "[vlan]\nid=7\nparent=enp3s0\n"}),
    "nspawn": Case({"etc/systemd/nspawn/x.nspawn": "[Network]\nMACVLAN=enp3s0\n"}),
    "libvirt": Case({"etc/libvirt/qemu/x.xml": "<source dev='enp3s0' mode='bridge'/>\n"}),
    "LXC": Case({"var/lib/lxc/x/config": "lxc.net.0.type = macvlan\nlxc.net.0.link = enp3s0\n"}),
}


def bridge(name, *ports, **more):
    """A bridge with ports {name: DEVTYPE or "hardware" or ""}, and what is below these."""
    files = {NET + name + "/bridge": None, NET + name + "/uevent": "DEVTYPE=bridge\n"}
    for port in ports:
        kind, _, below = port.partition("/")
        label = "p-" + kind
        files[NET + name + "/lower_" + label] = None
        files[NET + label + "/uevent"] = "DEVTYPE=%s\n" % kind if kind not in ("veth", "tap", "card") else "INTERFACE=%s\n" % label
        if kind == "card":
            files[NET + label + "/device"] = None
        if below:
            files[NET + label + "/lower_" + below] = None
    files.update(more.pop("files", {}))
    return Case(files, about=name, **more)


# Has the bridge a LAN behind it? No name says so.
BRIDGES = {
    "docker_gwbridge": bridge("docker_gwbridge", "veth"),
    "incusbr0, with nobody in it": bridge("incusbr0"),
    "kube-bridge": bridge("kube-bridge", "veth", "tap"),
    "a network that somebody has named": bridge("lan0", "veth"),
    "virtual machines": bridge("virbr0", "tap"),
    "a network of several hosts": bridge("flannel0", "vxlan/enp3s0", "veth"),
    "hardware": bridge("br7", "card", "tap", right=True),
    "hardware under docker's name": bridge("docker0", "card", right=True),
    "a bond": bridge("br7", "bond", right=True),
    "a team": bridge("br7", "team", right=True),
    "a VLAN of hardware": bridge("br7", "vlan/enp3s0", right=True),
    "a VLAN of guests": bridge("br7", "vlan/p-veth", "veth"),
    "a VLAN whose card is elsewhere": bridge("br7", "vlan", right=True),
    "a macvlan of hardware": bridge("br7", "macvlan/enp3s0", right=True),
    "a radio": bridge("br7", "wlan", files={NET + "p-wlan/device": None}, right=True),
    "a stanza": bridge("br7", "veth", files={ENI: "iface br7 inet manual\n bridge_ports none\n"}, right=True),
    "a stanza's comment": bridge("br7", "veth", files={ENI: "# iface br7 inet manual\n"}),
}


def build(case, root):
    """The case as a tree of files under `root`."""
    usual = {
        "etc/network/interfaces": "",
        NET + "enp3s0/type": "1\n",
        NET + "enp3s0/ifindex": "7\n",
        NET + "enp3s0/address": MAC + "\n",
        NET + "enp3s0/device": None,
        NET + "enp3s0/uevent": "INTERFACE=enp3s0\nIFINDEX=7\n",
        "proc/net/packet": PACKET,
    }
    files = {path: text for path, text in {**usual, **case.files}.items() if "-" + path not in case.files and path[0] != "-"}
    for path, text in files.items():
        target = os.path.join(str(root), path)
        os.makedirs(os.path.dirname(target) if text is not None else target, exist_ok=True)
        if text is not None:
            with open(target, "w", encoding="utf-8") as file:
                file.write(text.replace("{root}", str(root)))
