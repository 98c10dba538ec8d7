"""What pairing would do, on a router that is played by links, files and what wg(8) says."""

import base64
import os
import pathlib
import socket
import stat

import nets
import pytest
from l2wg_hooks import cli
from l2wg_hooks.config import card, edit, own_wire, site_record, store, wg_quick, wg_quick_peers, wg_quick_readers
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Link
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.pairing import bootstrap, local_facts, pair, site, unpair
from l2wg_hooks.system import network_namespace, process, units

KEYS = [base64.b64encode(bytes((number,)) * 32).decode() for number in (1, 2, 3)]
B = card.Card("site-b", KEYS[1], "203.0.113.20:51820", ("198.18.0.2",))
CONF = "[Interface]\nPrivateKey = secret\nAddress = 198.18.0.1/32\nListenPort = 51820\n"
PEER = "\n[Peer]\nPublicKey = %s\nAllowedIPs = 198.18.0.2/32\n" % KEYS[1]


class Router:
    def __init__(self, root):
        self.root, self.etc, self.links, self.ran = root, root / "etc", {}, []
        self.says = {"genkey": "private\n", "pubkey": KEYS[0] + "\n"}
        self.live = None

    def link(self, name, *words, behind="device", **more):
        """A bridge has a card behind it, unless it is told to be of guests."""
        if words == ("bridge",):
            (self.root / "sys/class/net" / name / ("lower_behind-" + name)).mkdir(parents=True, exist_ok=True)
            (self.root / "sys/class/net" / ("behind-" + name) / behind).mkdir(parents=True, exist_ok=True)
        self.links[name] = Link(name, len(self.links) + 1, *words, **more)

    def conf(self, text):
        (self.etc / "wireguard").mkdir(exist_ok=True)
        (self.etc / "wireguard/wg0.conf").write_text(text)

    def up(self, *found):
        self.link("wg0", "wireguard", addresses=("198.18.0.1/32",))
        self.live = wg_interfaces.Interface(KEYS[0], 51820, found)

    def run(self, argv, stdin="", environment=()):
        self.ran.append((argv, stdin))
        return process.Result(0, self.says.get(argv[1], "") if argv[0] == "wg" else self.says.get(argv, ""), "")

    def intend(self, other=B, *words, **more):
        return pair.intend(card.encode(other), pair.Wanted(*words, **more))


@pytest.fixture
def router(root, monkeypatch):
    here = Router(root)
    (here.etc / "network").mkdir(parents=True)
    monkeypatch.setattr(process, "run", here.run)
    monkeypatch.setattr(link_table, "read", lambda: dict(here.links))
    monkeypatch.setattr(wg_interfaces, "look", lambda name: here.live)
    monkeypatch.setattr(socket, "gethostname", lambda: "site_a.lan")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setattr(units, "run_here", lambda: True)
    return here


def fails(call, said):
    with pytest.raises(L2wgError) as error:
        call()
    assert said in str(error.value)
    assert all(problem.hint for problem in error.value.problems)


# Facts


def test_a_card_of_a_router_that_is_down_and_of_one_that_is_up(router):
    router.conf(CONF)
    down = local_facts.look("wg0", {})
    assert down.card == card.Card("site-a", KEYS[0], "", ("198.18.0.1",)) and down.port == 51820 and not down.up
    assert (("wg", "pubkey"), "secret\n") in router.ran and not any("secret" in " ".join(argv) for argv, _ in router.ran)
    router.up()
    assert local_facts.look("wg0", router.links).card == down.card


@pytest.mark.parametrize("by_file", [True, False])
def test_the_address_of_two_hubs_is_nobodys_own(router, root, by_file):
    """IPv6 has the newest address first, so the card would have that one, which no site may have."""
    router.conf(CONF)
    router.up()
    router.links["wg0"] = Link("wg0", 7, "wireguard", up=True, addresses=("fd00::99/128", "fd00::1/128"))
    assert local_facts.look("wg0", router.links).card.addresses == ("fd00::99",)
    if by_file:
        rows = [nets.line(number, addresses=(f"fd00::{number + 1}",)) for number in range(3)]
        (root / "etc/l2wg").mkdir(parents=True, exist_ok=True)
        (root / "etc/l2wg/sites").write_text("net hub=site0,site1 hub-address=fd00::99\n" + "".join(rows))
    else:
        site_record.write((), (), {("wg0", 7, "fd00::99")})
    assert local_facts.look("wg0", router.links).card.addresses == ("fd00::1",)
    router.links["wg0"] = router.links["wg0"]._replace(addresses=("fd00::99/128",))
    assert local_facts.look("wg0", router.links).card.addresses == ("fd00::99",), "the mistake is told where the card goes"


def test_the_lan_is_the_bridges(router):
    router.conf(CONF)
    router.says["ip", "-4", "route", "show", "default"] = "default via 203.0.113.1 dev enp1s0\n"
    router.link("enp1s0", addresses=("203.0.113.7/24",))
    router.link("docker0", "bridge", behind="veth", addresses=("172.17.0.1/16",))
    router.link("enp2s0", addresses=("192.168.178.1/24",))
    assert local_facts.look("wg0", router.links).card.lan == "192.168.178.0/24"
    assert local_facts.look("wg0", router.links).card.joined is False, "no bridge has it"
    router.link("br0", "bridge", addresses=("192.168.92.1/24",))
    assert local_facts.look("wg0", router.links).card[4:] == ("192.168.92.0/24", "gretap", None, 1500, True)
    router.link("br1", "bridge", addresses=("192.168.93.1/24",))
    assert local_facts.look("wg0", router.links).card.joined is None, "one of two, and nobody has said which"
    edit.change("gretap1", {"underlay": "wg0", "local": "198.18.0.1", "remote": "198.18.0.2", "bridge": "br1"})
    assert local_facts.look("wg0", router.links).card[4:] == ("192.168.93.0/24", "gretap", None, 1500, True)
    edit.change("gretap1", {"bridge": "br9"})
    assert local_facts.look("wg0", router.links).card[4:] == ("192.168.92.0/24", "gretap", None, 1500, False)


@pytest.mark.parametrize(
    "said, port, source, endpoint, hint",
    [
        ("", 51820, "", "", "does not know how it is called"),
        ("", 51820, "192.168.1.7", "", "does not know how it is called"),
        ("", 51820, "9.9.9.9", "9.9.9.9:51820", None),
        ("", 0, "9.9.9.9", "", "does not know how it is called"),
        ("none", 51820, "9.9.9.9", "", None),
        ("b.example.org", 51820, "9.9.9.9", "b.example.org:51820", None),
        ("b.example.org:7", 0, "", "b.example.org:7", None),
        ("b.example.org", 0, "", "", "another port at each start"),
        ("2001:db8::7", 51820, "", "[2001:db8::7]:51820", None),
        ("[2001:db8::7]:9", 51820, "", "[2001:db8::7]:9", None),
    ],
)
def test_the_endpoint(router, said, port, source, endpoint, hint):
    router.says["ip", "route", "get", "192.0.2.1"] = "192.0.2.1 via 10.0.0.1 dev e0 src %s uid 0 \n" % source if source else ""
    router.conf(CONF.replace("ListenPort = 51820\n", "ListenPort = 51820\n" if port else ""))
    site.save({"endpoint": said})
    found = local_facts.look("wg0", {})
    assert found.card.endpoint == endpoint
    assert [hint in str(problem) for problem in found.hints] == ([True] if hint else [])


def test_what_the_admin_says_is_remembered_and_checked(router):
    site.save({"name": "site-b", "endpoint": "b.example.org", "mtu": "1400"})
    assert (router.etc / "l2wg/site").exists() and store.names() == []
    assert site.load() == site.Site("site-b", "b.example.org", "gretap", None, 1400)
    before = (router.etc / "l2wg/site").read_bytes()
    for changes in ({"name": "a b"}, {"endpoint": "$(reboot)"}, {"mtu": "9"}, {"endpoint": "b\nname = x"}, {"encapsulation": "ipip"}):
        fails(lambda: site.save(changes), list(changes)[0])
    assert (router.etc / "l2wg/site").read_bytes() == before
    (router.etc / "l2wg/site").write_text("name = a b\n")
    fails(site.load, "site:1: name: expected the name of a site, not 'a b'")


def test_which_wireguard(router):
    fails(local_facts.underlay, "no WireGuard interface")
    router.conf(CONF)
    assert local_facts.underlay() == "wg0"
    (router.etc / "wireguard/wg1.conf").write_text("")
    fails(local_facts.underlay, "several WireGuard interfaces: wg0, wg1")
    assert local_facts.underlay("wg1") == "wg1"


def test_of_several_wireguards_the_one_for_tunnels_alone_is_meant(router, capsys):
    """Unless tunnels go by another one, too; and of two such, nobody knows which."""
    router.conf(CONF)
    bootstrap.init("l2w0", 51821, own=True)
    assert local_facts.underlay() == "l2w0"
    assert "of l2w0, wg0, l2w0 is meant: it is for tunnels alone. Another one: --underlay WG" in capsys.readouterr().err
    edit.change("gretap1", {"underlay": "l2w0", "wire": "own", "local": "198.18.0.1", "remote": "198.18.0.2", "bridge": "br0"})
    assert local_facts.underlay() == "l2w0"
    edit.change("gretap2", {"underlay": "wg0", "local": "198.18.0.3", "remote": "198.18.0.4", "bridge": "br0"})
    fails(local_facts.underlay, "several WireGuard interfaces: l2w0, wg0")
    os.remove(store.path("gretap2"))
    bootstrap.init("l2w1", 51822, own=True)
    fails(local_facts.underlay, "several WireGuard interfaces: l2w0, l2w1, wg0")


def test_a_card_of_wireguard_that_is_not_there_says_how_to_make_it(router):
    fails(lambda: local_facts.look("vpn", {}), "make both: l2wg init vpn")
    fails(lambda: local_facts.look("wg0", {}), "make both: l2wg init --shared wg0")


# Pairing


def test_a_new_peer(router):
    router.conf(CONF)
    router.up()
    router.link("br0", "bridge")
    found = router.intend()
    text = found.more.texts[wg_quick.path("wg0")][1]
    assert text == CONF + (
        "PostUp = l2wg up %%i || :\nPostDown = l2wg down %%i || :\n\n[Peer]\n# site-b, by `l2wg pair`\nPublicKey = %s\n"
        "AllowedIPs = 198.18.0.2/32\nEndpoint = 203.0.113.20:51820\nPersistentKeepalive = 25\n" % KEYS[1]
    )
    assert [str(step) for step in found.more.steps] == [
        "wg set wg0 peer %s endpoint 203.0.113.20:51820 persistent-keepalive 25 allowed-ips 198.18.0.2/32" % KEYS[1],
        "ip route add 198.18.0.2 dev wg0",
    ]
    assert found.more.peers == (wg_interfaces.unknown(KEYS[1]),) and found.more.ways == (("198.18.0.2", "dev", "wg0"),)
    assert "remote         = 198.18.0.2\nbridge         = br0\nbridge-ports   =\n" in found.more.wish["gretap1"]
    assert "secret" not in str(found.shown)


def test_a_site_that_can_be_called_keeps_nothing_alive_and_one_that_cannot_is_called_by_nobody(router):
    router.conf(CONF)
    router.link("br0", "bridge")
    site.save({"endpoint": "a.example.org"})
    text = router.intend().more.texts[wg_quick.path("wg0")][1]
    assert "Endpoint = 203.0.113.20:51820" in text and "Keepalive" not in text
    text = router.intend(B._replace(endpoint="")).more.texts[wg_quick.path("wg0")][1]
    assert "Endpoint" not in text and "Keepalive" not in text
    site.save({"endpoint": "none"})
    fails(lambda: router.intend(B._replace(endpoint="")), "neither of the two sites says how it can be called")


def test_a_peer_that_is_there_is_left_and_gets_what_it_lacks(router):
    router.conf(CONF + PEER.replace("198.18.0.2/32", "192.168.92.0/24 # LAN") + "PresharedKey = psk\n")
    router.up(wg_interfaces.Peer(KEYS[1], "203.0.113.99:7", ("192.168.92.0/24",), 0, 0, 0, None))
    router.link("br0", "bridge")
    site.save({"endpoint": "a.example.org"})
    found = router.intend()
    text = found.more.texts[wg_quick.path("wg0")][1]
    assert "AllowedIPs = 192.168.92.0/24, 198.18.0.2/32 # LAN\nPresharedKey = psk\nEndpoint = 203.0.113.20:51820\n" in text
    assert text.count("[Peer]") == 1
    assert str(found.more.steps[0]).endswith("endpoint 203.0.113.20:51820 allowed-ips 192.168.92.0/24,198.18.0.2/32")
    assert "psk" not in str(found.shown) and found.more.peers[0].endpoint == "203.0.113.99:7"


def test_twice_is_nothing(router):
    router.link("br0", "bridge")
    router.conf(CONF)
    router.up()
    first = router.intend()
    router.conf(first.more.texts[wg_quick.path("wg0")][1])
    (router.etc / "l2wg").mkdir()
    (router.etc / "l2wg/gretap1.conf").write_text(first.more.wish["gretap1"])
    router.up(wg_interfaces.Peer(KEYS[1], "203.0.113.20:51820", ("198.18.0.2/32",), 0, 0, 0, 25))
    router.says["ip", "route", "show", "dev", "wg0", "match", "198.18.0.2"] = "198.18.0.2 scope link\n"
    second = router.intend()
    assert not second.changes() and second.tunnel == "gretap1"
    third = router.intend(B._replace(mtu=1400, endpoint="203.0.113.21:9"))
    assert third.more.wish["gretap1"] == first.more.wish["gretap1"] + "mtu = 1400\n"
    old, new = third.more.texts[wg_quick.path("wg0")]
    assert new == old.replace("203.0.113.20:51820", "203.0.113.21:9")
    assert [str(step) for step in third.more.steps] == ["wg set wg0 peer %s endpoint 203.0.113.21:9" % KEYS[1]]


def test_how_the_admin_has_a_peer_called_stays(router):
    router.conf(CONF + PEER + "Endpoint = elsewhere.example.org:7\n")
    router.up(wg_interfaces.Peer(KEYS[1], "203.0.113.99:7", ("198.18.0.2/32",), 1, 0, 0, None))
    router.link("br0", "bridge")
    site.save({"endpoint": "a.example.org"})
    found = router.intend()
    assert "called at elsewhere.example.org:7, as its [Peer] has it, not at 203.0.113.20:51820" in found.notes[-1]
    assert found.more.texts[wg_quick.path("wg0")][1].endswith(PEER + "Endpoint = elsewhere.example.org:7\n")
    assert [str(step) for step in found.more.steps] == ["ip route add 198.18.0.2 dev wg0"]


@pytest.mark.parametrize("table, steps", [("off", []), ("51", ["ip route add 198.18.0.2 dev wg0 table 51"]), ("auto", ["ip route add 198.18.0.2 dev wg0"])])
def test_the_route_is_the_one_of_wg_quick(router, table, steps):
    router.conf(CONF + "Table = %s\n" % table + PEER)
    router.up(wg_interfaces.Peer(KEYS[1], "203.0.113.20:51820", ("198.18.0.2/32",), 1, 0, 0, 25))
    router.link("br0", "bridge")
    site.save({"endpoint": "a.example.org"})
    found = [str(step) for step in router.intend().more.steps]
    assert [step for step in found if step.startswith("ip")] == steps


def test_a_name_that_nobody_knows_is_refused(router, monkeypatch):
    """wg-quick would not bring up wg0 with it, at the next boot."""

    def nobody(*_words, **_more):
        raise socket.gaierror(-2, "Name or service not known")

    router.conf(CONF)
    router.link("br0", "bridge")
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    fails(lambda: router.intend(B._replace(endpoint="b.example.org:9")), "b.example.org, where site-b is to be called, is not found")


def test_what_would_go_into_the_tunnel_with_the_cards_address_is_refused(router, monkeypatch):
    """WireGuard's own packets, whoever they are for, and all that this router needs on its way out."""
    router.conf(CONF + "\n[Peer]\nPublicKey = %s\nAllowedIPs = 198.18.7.0/24\nEndpoint = c.example.org:1\n" % KEYS[2])
    router.link("br0", "bridge")
    names = {"b.example.org": "198.18.0.2", "c.example.org": "203.0.113.30", "": ""}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: [(0, 0, 0, "", (names.get(host, host), 0))])
    fails(lambda: router.intend(B._replace(endpoint="198.18.0.2:51820")), "is an address inside WireGuard")
    fails(lambda: router.intend(B._replace(endpoint="b.example.org:51820")), "198.18.0.2, the address of site-b, is where site-b is to be called")
    fails(lambda: router.intend(B._replace(addresses=("203.0.113.30",))), "is where the peer %s is called" % KEYS[2])
    router.up(wg_interfaces.Peer(KEYS[2], "203.0.113.31:1", ("198.18.7.0/24",), 1, 0, 0, None))
    fails(lambda: router.intend(B._replace(addresses=("203.0.113.31",))), "is where the peer %s is called" % KEYS[2])
    router.says["ip", "-4", "route", "show", "table", "all"] = "default via 203.0.113.1 dev enp1s0\n"
    fails(lambda: router.intend(B._replace(addresses=("203.0.113.1",))), "is a gateway of this router")
    (router.etc / "resolv.conf").write_text("search lan\nnameserver 203.0.113.53\nnameserver\n")
    fails(lambda: router.intend(B._replace(addresses=("203.0.113.53",))), "is a DNS server of this router")
    monkeypatch.setenv("SSH_CONNECTION", "203.0.113.99 50000 203.0.113.7 22")
    fails(lambda: router.intend(B._replace(addresses=("203.0.113.99",))), "is where somebody is logged in from")
    assert router.intend().changes()


def test_an_endpoint_behind_the_tunnel_is_refused(router):
    router.conf(CONF + "\n[Peer]\nPublicKey = %s\nAllowedIPs = 203.0.113.0/24\n" % KEYS[2])
    router.link("br0", "bridge")
    fails(router.intend, "is reached through wg0, by AllowedIPs 203.0.113.0/24 of the peer %s" % KEYS[2])
    router.up(wg_interfaces.Peer(KEYS[2], "", ("203.0.113.0/24",), 1, 0, 0, None))
    router.says["ip", "-4", "route", "get", "203.0.113.20"] = "203.0.113.20 dev wg0 src 198.18.0.1 uid 0 \n    cache \n"
    fails(router.intend, "is reached through wg0: WireGuard's own packets would go into the tunnel")
    router.says["ip", "-4", "route", "get", "203.0.113.20"] = "203.0.113.20 via 198.51.100.1 dev enp1s0 src 198.51.100.7 uid 0 \n    cache \n"
    assert router.intend().changes(), "a route that is more specific leads elsewhere"
    router.says["fwmark"] = ""
    del router.says["ip", "-4", "route", "get", "203.0.113.20"]
    router.conf(CONF.replace("ListenPort", "Table = off\nListenPort") + "\n[Peer]\nPublicKey = %s\nAllowedIPs = 203.0.113.0/24\n" % KEYS[2])
    assert router.intend().changes(), "wg-quick makes no routes"


def test_the_far_end_of_another_peers_tunnel_is_its_own(router):
    """Else a card that names it has that tunnel."""
    router.conf(CONF + "\n[Peer]\nPublicKey = %s\nAllowedIPs = 192.168.92.0/24\n" % KEYS[2])
    router.link("br0", "bridge")
    (router.etc / "l2wg").mkdir()
    (router.etc / "l2wg/gretap1.conf").write_text("underlay = wg0\nlocal = 198.18.0.1\nremote = 192.168.92.1\nbridge = br0\n")
    fails(lambda: router.intend(B._replace(addresses=("192.168.92.1",))), "is the far end of gretap1, which leads to the peer %s" % KEYS[2])


def test_whose_the_address_was_is_told(router):
    router.conf(CONF + "\n[Peer]\nPublicKey = %s\nAllowedIPs = 198.18.0.0/24\n" % KEYS[2])
    router.link("br0", "bridge")
    router.says["ip", "-4", "route", "show", "match", "198.18.0.2"] = "default via 203.0.113.1 dev enp1s0 \n198.18.0.0/15 dev wg0 scope link \n"
    (note,) = router.intend().notes
    assert "198.18.0.2 is also in AllowedIPs 198.18.0.0/24 of the peer %s" % KEYS[2] in note
    router.says["ip", "-4", "route", "show", "match", "198.18.0.2"] += "198.18.0.0/16 via 10.0.0.1 dev enp2s0 \n"
    assert "198.18.0.0/16 via 10.0.0.1 dev enp2s0" in router.intend().notes[1]
    assert "9.9.9.9 is a public address" in router.intend(B._replace(addresses=("9.9.9.9",))).notes[0]


def test_a_tunnel_made_by_hand_is_found_by_its_peer(router):
    router.conf(CONF + PEER.replace("198.18.0.2/32", "192.168.92.0/24, 198.18.0.0/24"))
    edit.change("wire", {"underlay": "wg0", "local": "192.168.178.1", "remote": "192.168.92.1", "bridge": "br0"})
    found = router.intend()
    assert found.tunnel == "wire" and not found.more.wish and "wire leads to site-b already" in found.notes[0]
    fails(lambda: router.intend(tunnel="gretap9"), "a second tunnel would be a loop")


PAIRED = CONF + wg_quick_peers.add("", "site-b", [("PublicKey", KEYS[1]), ("AllowedIPs", "198.18.0.2/32")])


@pytest.mark.parametrize(
    "conf, ends, card_of_b, after",
    [
        # This router was made anew, with another key, hence another address.
        (CONF, ("198.19.7.7", "198.18.0.2"), B, ("198.18.0.1", "198.18.0.2")),
        # The other one has another address.
        (PAIRED, ("198.18.0.1", "198.18.0.2"), B._replace(addresses=("198.18.0.22",)), ("198.18.0.1", "198.18.0.22")),
        # By hand: what a LAN has is nobody's to change.
        (PAIRED, ("192.168.178.1", "198.18.0.2"), B, None),
        (CONF + PEER, ("198.18.0.1", "198.18.0.2"), B._replace(addresses=("198.18.0.22",)), None),
        (PAIRED.replace("198.18.0.2/32", "198.18.0.2/32, 192.168.92.0/24"), ("198.18.0.1", "192.168.92.1"), B, None),
    ],
)
def test_a_tunnel_follows_a_site_that_has_another_address(router, conf, ends, card_of_b, after):
    router.conf(conf)
    router.up()
    router.link("enp2s0", addresses=("192.168.178.1/24",))
    edit.change("gretap1", {"underlay": "wg0", "local": ends[0], "remote": ends[1], "bridge": "br0"})
    found = router.intend(card_of_b)
    assert found.tunnel == "gretap1"
    if after is None:
        assert not found.more.wish and "it stays as it is" in found.notes[0]
        return
    assert "local          = %s\nremote         = %s\n" % after in found.more.wish["gretap1"]
    assert "%s/32" % after[1] in found.more.texts[str(router.etc / "wireguard/wg0.conf")][1]
    assert ("ip", "route", "add", after[1], "dev", "wg0") in [step.argv for step in found.more.steps]
    assert not found.notes


def test_a_second_site_gets_a_second_tunnel_on_the_same_bridge(router):
    router.conf(CONF + PEER)
    edit.change("gretap1", {"underlay": "wg0", "local": "198.18.0.1", "remote": "198.18.0.2", "bridge": "br7", "bridge-ports": "enp3s0"})
    found = router.intend(card.Card("c", KEYS[2], "203.0.113.30:1", ("198.18.0.3",)))
    assert found.tunnel == "gretap2"
    assert "bridge         = br7\nbridge-ports   = enp3s0\n" in found.more.wish["gretap2"]
    fails(lambda: router.intend(card.Card("c", KEYS[2], "203.0.113.30:1", ("198.18.0.2",))), "has 198.18.0.2 already")


def nic(router, name, *signs, **more):
    for sign in ("device",) + signs:
        (router.root / "sys/class/net" / name / sign).mkdir(parents=True)
    (router.root / "sys/class/net" / name / "type").write_text("1\n")
    router.link(name, mac="52:54:00:00:00:01", **more)


def test_which_bridge(router):
    router.conf(CONF)
    nic(router, "enp2s0", addresses=("192.168.178.1/24",))
    nic(router, "enp3s0")
    nic(router, "wlan0", "wireless")
    nic(router, "enp5s0", "upper_enp5s0.7")
    router.link("veth0", mac="52:54:00:00:00:01")
    router.link("docker0", "bridge", behind="veth")
    router.link("docker_gwbridge", "bridge", behind="veth")
    fails(router.intend, "this router has no bridge")
    fails(router.intend, "--bridge-ports PORT; free here: enp3s0")
    proposed = pair.intend(card.encode(B), pair.Wanted(), ask_ports=True)
    assert "bridge         = br0\nbridge-ports   = enp3s0\n" in proposed.more.wish["gretap1"]
    assert "bridge         = docker0" in router.intend(bridge="docker0").more.wish["gretap1"], "who says so, gets it"
    fails(lambda: router.intend(bridge="br5"), "there is no bridge br5")
    fails(lambda: router.intend(ports=("enp3s0", "enp9s0")), "--bridge-ports: this router has no port enp9s0\n  hint: free here: enp3s0")
    assert "bridge-ports   = enp2s0" in router.intend(ports=("enp2s0",)).more.wish["gretap1"]
    (router.etc / "network/interfaces").write_text("iface enp3s0 inet manual\niface lan inet static\n  bridge_ports enp2s0\n")
    assert "bridge         = lan\nbridge-ports   =\n" in router.intend().more.wish["gretap1"]
    (router.etc / "network/interfaces").write_text("iface enp3s0 inet manual\n")
    fails(router.intend, "no Ethernet port of this router is free (enp2s0 carries an address, enp3s0 is named in ")
    router.link("br1", "bridge")
    router.link("br2", "bridge")
    fails(router.intend, "several bridges: br1, br2")
    fails(lambda: router.intend(ports=("enp3s0;reboot",)), "expected the name of an interface, not ")
    fails(lambda: router.intend(tunnel="../../x", ports=("enp3s0",)), "expected the name of an interface, not ")


def test_wireguard_that_was_made_by_hand_is_saved_first(router):
    router.up()
    with pytest.raises(L2wgError) as error:
        router.intend(B, "wg0")
    (problem,) = error.value.problems
    assert problem.message == "there is no such file, and wg0 is up"
    assert problem.hint.startswith("install -D -m 600 /dev/null %s; wg-quick save wg0; systemctl enable wg-quick@wg0 # " % (router.etc / "wireguard/wg0.conf"))


def test_nothing_but_a_card(router):
    router.conf(CONF)
    fails(lambda: pair.intend("nonsense", pair.Wanted()), "expected a card, not ")
    fails(lambda: router.intend(card.Card("a", KEYS[0], "", ("198.18.0.9",))), "this router's own card")


def test_on_nixos_the_configuration_is_told(router):
    router.conf(CONF)
    (router.etc / "NIXOS").write_text("")
    fails(router.intend, 'remote = "198.18.0.2";')
    fails(bootstrap.init, "networking.wg-quick.interfaces.wg0")
    assert cli.main(["card"]) == 0


# The command


def test_nobody_there_has_not_agreed(router, monkeypatch, capsys):
    from l2wg_hooks.apply import apply, preview
    from l2wg_hooks.model import Plan

    router.conf(CONF)
    router.link("br0", "bridge")
    intent = preview.Intent((), {}, {}, (), (), Plan((), ()), (), True)
    monkeypatch.setattr(preview, "intend", lambda moving=False, wished_too=None: intent)
    monkeypatch.setattr(apply, "apply", lambda *words: pytest.fail("it was applied"))
    assert cli.main(["pair", card.encode(B)]) == 1
    out, err = capsys.readouterr()
    assert "nobody is here to agree" in err and "+PublicKey = " + KEYS[1] in out and "secret" not in out + err


def test_the_card_alone_is_on_standard_output(router, capsys):
    router.conf(CONF)
    assert cli.main(["card", "--endpoint", "b.example.org"]) == 0
    out, err = capsys.readouterr()
    assert card.decode(out).endpoint == "b.example.org:51820" and out.count("\n") == 1
    assert "public key     " + KEYS[0] in err


# Init


def test_init(router):
    bootstrap.init("wg0", 51999, "", {"name": "hut"})
    path = router.etc / "wireguard/wg0.conf"
    inner = bootstrap.inner(KEYS[0])
    assert path.read_text().endswith("[Interface]\nPrivateKey = private\nAddress = %s/32\nListenPort = 51999\n" % inner)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert router.ran[-1][0] == ("systemctl", "enable", "--now", "wg-quick@wg0")
    assert not any("private" in " ".join(argv) for argv, _ in router.ran)
    before = path.read_bytes()
    fails(bootstrap.init, "a key is never replaced")
    assert path.read_bytes() == before


def made(router):
    """What stands in /etc/wireguard."""
    return sorted(os.listdir(str(router.etc / "wireguard"))) if (router.etc / "wireguard").exists() else []


@pytest.mark.parametrize(
    "words, name, own", [([], "l2w0", True), (["vpn"], "vpn", True), (["--own", "wg0"], "wg0", True), (["--shared"], "wg0", False), (["--shared", "vpn"], "vpn", False)]
)
def test_init_makes_a_wire_of_its_own_unless_it_is_to_be_shared(router, words, name, own):
    assert cli.main(["init", *words]) == 0
    assert made(router) == [name + ".conf"]
    text = (router.etc / "wireguard" / (name + ".conf")).read_text()
    assert own_wire.is_marked(text) is own
    if own:
        assert own_wire.parse(text, "")[1] == ()
    assert any("wg-quick" in " ".join(argv) for argv, _ in router.ran) is not own
    # It has been tried, by a name and a namespace that nobody has.
    tried = [argv[:4] for argv, _ in router.ran if argv[0] == "ip" and argv[1] in ("netns", "link")]
    assert (("ip", "netns", "add", "l2wg-init") in tried) is own


def test_a_name_of_wg_quicks_is_asked_back(router, capsys):
    assert cli.main(["init", "wg1"]) == 1
    said = capsys.readouterr().err
    assert "everybody takes wg1 for an interface of wg-quick(8)" in said
    assert "hint: which is meant: l2wg init --shared wg1 # or: l2wg init; or: l2wg init --own wg1" in said
    assert made(router) == [] and router.ran == []


@pytest.mark.parametrize(
    "failing, said, hint",
    [
        (("ip", "netns", "add"), "network namespaces cannot be had here", "l2wg init --shared"),
        (("ip", "link", "add"), "type wireguard` failed: Unknown device type.", "`modprobe wireguard` must work"),
    ],
)
def test_what_forbids_a_wire_of_its_own_is_told_before_anything_is_written(router, monkeypatch, failing, said, hint):
    real, errors = router.run, {"netns": "mount --make-shared /run/netns failed:\n Operation not permitted\n", "link": "Unknown device type.\n"}

    def run(argv, *more):
        if argv[:2] == ("ip", "netns"):  # as ip(8) does it
            pathlib.Path(network_namespace.path("")).mkdir(parents=True, exist_ok=True)
            file = pathlib.Path(network_namespace.path(argv[3]))
            file.touch() if argv[2] == "add" else file.unlink()
        real(argv, *more)
        return process.Result(1, "", errors[argv[1]]) if argv[:3] == failing else real(argv, *more)

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(L2wgError) as error:
        bootstrap.init("l2w0", own=True, remembered={"name": "hut"})
    (problem,) = error.value.problems
    assert said in problem.message and problem.hint.startswith(hint)
    assert made(router) == [] and not (router.etc / "l2wg/site").exists()
    assert os.listdir(network_namespace.path("")) == [], "and no namespace is left"


def test_a_wire_of_its_own_is_no_interface_that_others_bring_up(router):
    unit = pathlib.Path(wg_quick_readers.ROOT) / "etc/systemd/system/multi-user.target.wants/wg-quick@l2w0.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    fails(lambda: bootstrap.init("l2w0", own=True), "wg-quick(8) is to bring up l2w0\n  hint: name another one: l2wg init l2w1")


@pytest.mark.parametrize("size, line", [(1500, ""), (9000, ""), (1499, "MTU = 1419\n"), (1492, "MTU = 1412\n"), (600, "")])
def test_the_mtu_of_a_wire_of_its_own_follows_from_the_way_out(router, size, line):
    """As wg-quick(8) works it out at each start."""
    router.says["ip", "route", "get", "192.0.2.1"] = "192.0.2.1 via 10.0.0.1 dev ppp0 src 10.0.0.2 uid 0 \n"
    router.link("ppp0", mtu=size)
    bootstrap.init("l2w0", own=True)
    assert (router.etc / "wireguard/l2w0.conf").read_text().endswith("ListenPort = 51820\n" + line)
    bootstrap.init("wg1", 51821)
    assert "MTU" not in (router.etc / "wireguard/wg1.conf").read_text(), "wg-quick(8) does it itself"


def test_the_mtu_of_a_route_counts(router):
    router.says["ip", "route", "get", "2001:db8::1"] = "2001:db8::1 from :: via fe80::1 dev e0 src 2001:db8:1::2 metric 1024 mtu 1480 pref medium\n"
    router.link("e0", mtu=1500)
    bootstrap.init("l2w0", own=True)
    assert (router.etc / "wireguard/l2w0.conf").read_text().endswith("\nMTU = 1400\n")


def test_the_udp_port_of_wireguard_that_is_down_is_taken(router):
    """It would be in the way at its next start: the VPN that was there would be gone."""
    router.conf(CONF)
    fails(lambda: bootstrap.init("l2w0", own=True), "has UDP port 51820, though it is down now\n  hint: another one: l2wg init --port 51821")
    bootstrap.init("l2w0", 51821, own=True)


def test_init_leaves_nothing_where_it_cannot_start(router, monkeypatch):
    real = router.run
    monkeypatch.setattr(process, "run", lambda argv, *more: process.Result(1, "", "no module") if argv[0] == "systemctl" else real(argv, *more))
    fails(bootstrap.init, "no module")
    assert os.listdir(str(router.etc / "wireguard")) == []


def test_inner_addresses_differ_and_are_of_nobody(router):
    found = {bootstrap.inner(base64.b64encode(bytes((number,)) * 32).decode()) for number in range(1, 200)}
    assert len(found) >= 198 and all(address.startswith(("198.18.", "198.19.")) for address in found)
    router.link("eth0", addresses=("198.18.0.1/15",))
    fails(bootstrap.init, "is in the network of eth0")
    fails(lambda: bootstrap.init(address="fd00::1"), "is IPv6")
    fails(lambda: bootstrap.init(address="nonsense"), "expected an IP address, not ")


def test_a_port_that_is_taken_is_told(router):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        fails(lambda: bootstrap.init(port=taken.getsockname()[1]), "is in use")


def test_a_card_is_no_option_whatever_it_begins_with(router, capsys):
    """As the postinst calls it: exit code 1, a problem of the configuration, and not argparse's 2, which would fail the package."""
    router.conf(CONF)
    for text in ("-x", "--help", "$(reboot)"):
        assert cli.main(["pair", "--yes", "--bridge-ports", "enp3s0", "--", text]) == 1
    assert "expected a card, not '-x'" in capsys.readouterr().err


# A file of wg(8)

BY_IFUPDOWN = "iface wg0 inet static\n    address 198.18.0.1/32\n    pre-up wg setconf $IFACE %s/$IFACE.conf\n"
OF_WG = CONF.replace("Address = 198.18.0.1/32\n", "")


@pytest.fixture
def by_ifupdown(router):
    router.conf(OF_WG)
    router.up()
    (router.etc / "network/interfaces").write_text(BY_IFUPDOWN % (router.etc / "wireguard"))
    router.link("br0", "bridge")
    return router


def test_a_file_that_wg_reads_gets_a_peer_and_no_postup(by_ifupdown):
    found = by_ifupdown.intend(bridge="br0")
    (new,) = [text for path, (_, text) in found.more.texts.items() if path.endswith("wg0.conf")]
    assert "[Peer]" in new and "PostUp" not in new
    assert any("gets no PostUp" in note and "the hook of ifupdown does the same" in note for note in found.notes)
    assert any("wg(8) makes no routes" in note and "ip route add 198.18.0.2 dev wg0" in note for note in found.notes)


def test_lines_of_an_older_version_are_told_of_first(by_ifupdown):
    by_ifupdown.conf(OF_WG.replace("[Interface]\n", "[Interface]\nPostUp = l2wg up %i || :\n"))
    fails(lambda: by_ifupdown.intend(bridge="br0"), "l2wg detach wg0")


def test_a_card_of_an_interface_that_is_down_and_has_its_address_elsewhere(by_ifupdown):
    by_ifupdown.links.pop("wg0")
    by_ifupdown.live = None
    fails(lambda: local_facts.look("wg0", {}), "wg0 has no address\n  hint: bring it up first, or give it one where it is brought up: ifup wg0")


def test_a_peer_in_a_file_that_networkd_does_not_read_is_refused(router):
    router.conf(CONF)
    router.up()
    router.link("br0", "bridge")
    netdev = pathlib.Path(wg_quick_readers.ROOT) / "etc/systemd/network/wg.netdev"
    netdev.parent.mkdir(parents=True)
    netdev.write_text("[NetDev]\nName=wg0\nKind=wireguard\n")
    fails(lambda: router.intend(bridge="br0"), "a peer that is written here would be lost: systemd-networkd makes wg0")


def test_init_makes_no_file_that_wg_would_choke_on(by_ifupdown):
    by_ifupdown.links.clear()
    (by_ifupdown.etc / "wireguard/wg0.conf").unlink()
    fails(lambda: bootstrap.init("wg0"), "it would be one of wg-quick(8), and wg(8) reads it")
    assert not (by_ifupdown.etc / "wireguard/wg0.conf").exists()


def test_a_peer_whose_route_the_next_start_could_not_add_is_refused(router):
    """What is there already, and what the card brings."""
    router.conf(CONF + PEER.replace("198.18.0.2/32", "198.18.0.2/32, 192.168.92.0/24"))
    router.up()
    router.link("br0", "bridge", addresses=("192.168.92.2/24",))
    router.says["ip", "-4", "route", "show", "table", "main"] = "192.168.92.0/24 dev br0 proto kernel scope link src 192.168.92.2\n"
    fails(lambda: router.intend(bridge="br0"), "wg0.conf:8: AllowedIPs: wg-quick adds a route to 192.168.92.0/24 by wg0, which br0 has")
    router.conf(CONF)
    assert router.intend(bridge="br0").changes()
    router.says["ip", "-4", "route", "show", "table", "main"] = "198.18.0.2 via 192.168.92.9 dev br0\n"
    fails(lambda: router.intend(bridge="br0"), "wg-quick adds a route to 198.18.0.2/32 by wg0")


# Unpair

OURS = CONF + "PostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n" + wg_quick_peers.add("\n", "site-b", [
    ("PublicKey", KEYS[1]), ("AllowedIPs", "198.18.0.2/32"), ("Endpoint", "203.0.113.20:51820")])[1:]  # fmt: skip
LIVE = wg_interfaces.Peer(KEYS[1], "203.0.113.20:51820", ("198.18.0.2/32",), 7, 0, 0, None)
REMOVE = "wg set wg0 peer %s remove" % KEYS[1]


@pytest.fixture
def paired(router):
    router.conf(OURS)
    router.up(LIVE)
    router.link("br0", "bridge")
    edit.change("gretap1", {"underlay": "wg0", "local": "198.18.0.1", "remote": "198.18.0.2", "bridge": "br0", "site": "site-b"})
    router.says["ip", "-4", "route", "show", "dev", "wg0", "exact", "198.18.0.2"] = "198.18.0.2 scope link \n"
    return router


def text_of(found):
    return found.more.texts[wg_quick.path("wg0")][1]


def test_unpairing_is_pairing_backwards(router):
    """To the byte, by the site's name, the tunnel's, and the key."""
    router.conf(CONF)
    router.up()
    router.link("br0", "bridge")
    first = router.intend()
    router.conf(text_of(first))
    (router.etc / "l2wg").mkdir()
    (router.etc / "l2wg/gretap1.conf").write_text(first.more.wish["gretap1"])
    router.up(LIVE)
    router.says["ip", "-4", "route", "show", "dev", "wg0", "exact", "198.18.0.2"] = "198.18.0.2 scope link \n"
    for name in ("site-b", "gretap1", KEYS[1]):
        found = unpair.intend(name)
        assert text_of(found) == CONF and found.called == "site-b" and not found.notes
        assert found.more.texts[store.path("gretap1")] == (first.more.wish["gretap1"], "") and found.more.wish == {"gretap1": None}
        assert [str(step) for step in found.more.last] == [REMOVE, "ip route delete 198.18.0.2 dev wg0"]
        assert found.more.peers == (LIVE,) and found.more.lost == (("198.18.0.2", "dev", "wg0"),)
        assert found.more.removed() == {KEYS[1]} and "secret" not in str(found.shown)


@pytest.mark.parametrize(
    "conf, live, said",
    [
        (OURS.replace("# site-b, by `l2wg pair`\n", ""), LIVE, "was not written by `l2wg pair`"),
        (OURS.replace("198.18.0.2/32", "198.18.0.2/32, 192.168.92.0/24"), LIVE, "more than the tunnel's end: 192.168.92.0/24"),
        (OURS, LIVE._replace(allowed=("198.18.0.2/32", "10.9.0.0/16")), "more than the tunnel's end: 10.9.0.0/16"),
        (OURS + "PresharedKey = psk\n", LIVE, "it has PresharedKey, which"),
        (OURS + "\n[Peer]\nPublicKey = %s\n" % KEYS[1], LIVE, "it has 2 [Peer] sections"),
        (CONF, LIVE, "it is in no file"),
    ],
)
def test_a_peer_that_is_somebody_elses_or_needed_stays_and_is_told(paired, conf, live, said):
    paired.conf(conf)
    paired.up(live)
    found = unpair.intend("gretap1")
    assert said in found.notes[0] and "the peer %s of wg0 stays" % KEYS[1] in found.notes[0] and "psk" not in str((found.shown, found.notes))
    assert found.more.last == () and found.more.lost == () and found.more.peers == ()
    assert found.more.wish == {"gretap1": None}, "the tunnel goes all the same"
    assert found.more.texts.get(wg_quick.path("wg0"), (conf, conf))[1] == wg_quick.detach(conf, "wg0")


def test_a_key_that_is_in_no_file_is_no_reason_to_forget_it(paired):
    """A preshared key that somebody has set by hand could not be put back."""
    paired.says["show"] = "%s\tsomething\n" % KEYS[1]
    found = unpair.intend("site-b")
    assert "it has a preshared key" in found.notes[0] and not found.more.last and "something" not in str(found)


def test_what_another_tunnel_needs_stays(paired):
    edit.change("gretap2", {"underlay": "wg0", "local": "198.18.0.1", "remote": "198.18.0.2", "bridge": "br0", "key": "7"})
    found = unpair.intend("gretap1")
    assert "gretap2 also leads to it" in found.notes[0] and not found.more.last
    assert wg_quick.path("wg0") not in found.more.texts, "its lines stay, too"
    both = unpair.intend(KEYS[1])
    assert sorted(both.more.wish) == ["gretap1", "gretap2"] and both.more.last


def test_a_route_that_somebody_else_has_made_stays(paired):
    paired.says["ip", "-4", "route", "show", "dev", "wg0", "exact", "198.18.0.2"] = "198.18.0.2 proto static scope link \n"
    found = unpair.intend("site-b")
    assert [str(step) for step in found.more.last] == [REMOVE] and "proto static scope link` of wg0 stays" in found.notes[0]
    paired.says["ip", "-4", "route", "show", "dev", "wg0", "exact", "198.18.0.2"] = "198.18.0.2 scope link \n"
    paired.conf(OURS.replace("ListenPort", "Table = off\nListenPort"))
    assert [str(step) for step in unpair.intend("site-b").more.last] == [REMOVE]


def test_what_is_left_of_a_half_done_try_goes_too(paired):
    os.unlink(store.path("gretap1"))
    found = unpair.intend("site-b")
    assert text_of(found) == CONF and found.more.last and found.more.wish == {}
    paired.conf(CONF)
    paired.up()
    fails(lambda: unpair.intend("site-b"), "no other site and no tunnel is called 'site-b' here")
    edit.change("gretap1", {"underlay": "wg0", "local": "198.18.0.1", "remote": "198.18.0.2", "bridge": "br0", "site": "site-b"})
    found = unpair.intend("site-b")
    assert found.more.wish == {"gretap1": None} and not found.more.last and not found.notes


def test_of_two_sites_with_one_name_none_is_guessed(paired):
    paired.conf(OURS + wg_quick_peers.add("", "site-b", [("PublicKey", KEYS[2]), ("AllowedIPs", "198.18.0.3/32")]))
    edit.change("gretap2", {"underlay": "wg0", "local": "198.18.0.1", "remote": "198.18.0.3", "bridge": "br0", "site": "site-b"})
    fails(lambda: unpair.intend("site-b"), "may be each of these: gretap1 to the peer %s, gretap2" % KEYS[1])
    fails(lambda: unpair.intend("site-c"), "there is: site-b (gretap1), site-b (gretap2)")
    assert unpair.intend("gretap2").more.wish == {"gretap2": None}


def test_what_somebody_has_written_into_the_section_stays(paired):
    paired.conf(OURS.replace("Endpoint = 203.0.113.20:51820\n", "# asked Ann for this one\nEndpoint = elsewhere.example.org:7\n\n[Peer]\nPublicKey = x\n"))
    assert text_of(unpair.intend("site-b")) == CONF + "\n# asked Ann for this one\n\n[Peer]\nPublicKey = x\n"


def test_unpair_on_nixos_is_for_its_configuration(router):
    (router.etc / "NIXOS").write_text("")
    fails(lambda: unpair.intend("site-b"), "take services.l2wg.tunnels.NAME")


@pytest.mark.parametrize("command", ["pair", "unpair"])
@pytest.mark.parametrize("answer, said, done", [(None, "nobody is here to agree, nothing was changed", 0), (False, "nothing was changed", 0), (True, "", 1)])
def test_nothing_is_done_without_a_yes(paired, monkeypatch, capsys, command, answer, said, done):
    """By nobody at a terminal, or by somebody there who says no."""
    from l2wg_hooks.apply import apply, preview
    from l2wg_hooks.model import Plan
    from l2wg_hooks.system import terminal

    intent = preview.Intent((), {}, {}, (), (), Plan((), ()), (), True)
    applied = []
    monkeypatch.setattr(preview, "intend", lambda moving=False, wished_too=None: intent)
    monkeypatch.setattr(apply, "settle", lambda: None)
    monkeypatch.setattr(apply, "apply", lambda *words: applied.append(words) or (Problem("so far"),))
    monkeypatch.setattr(terminal, "attended", lambda: answer is not None)
    monkeypatch.setattr(terminal, "yes", lambda question: answer)
    other = card.encode(card.Card("c", KEYS[2], "203.0.113.30:1", ("198.18.0.3",)))
    assert cli.main([command, other if command == "pair" else "site-b"]) == 1
    assert len(applied) == done and said in capsys.readouterr().err
