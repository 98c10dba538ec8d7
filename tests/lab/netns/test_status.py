"""`l2wg status` and `l2wg metrics` on a wire that works, and on one that does not."""

import json
import re

from hosts import eventually

FRAMES = 40
HOST_B = "192.168.92.10"


def look(site, rc=0):
    result = site.l2wg("status", "--json", check=False)
    assert result.rc == rc, result.stdout + result.stderr
    return json.loads(result.stdout)


def samples(site):
    """{metric with its labels: value}."""
    rows = (line.rpartition(" ") for line in site.l2wg("metrics").stdout.splitlines() if not line.startswith("#"))
    return {name: int(value) for name, _, value in rows}


def stations(document, port):
    return {station["mac"]: station for bridge in document["bridges"] for it in bridge["ports"] if it["name"] == port for station in it["stations"]}


def address(host):
    return host.links()["eth0"]["address"]


def test_a_wire_that_works_is_told_to_be_right(wired):
    assert wired.device.ping(HOST_B, count=3) >= 1
    document = look(wired.a)
    (tunnel,) = document["tunnels"]
    assert document["ok"] and document["faults"] == [] and document["guard_intact"] is True
    assert (tunnel["up"], tunnel["joined"], tunnel["guarded"], tunnel["mtu"], tunnel["mss_ipv4"]) == (True, True, True, 1500, 1342)
    assert tunnel["peer"]["endpoint"] == "203.0.113.20:4900" and tunnel["peer"]["handshake_age"] <= 180
    assert tunnel["peer"]["public_key"] == wired.keys[1].public


def test_who_is_where(wired):
    wired.device.ping(HOST_B, count=3)
    device, host_b = address(wired.device), address(wired.host_b)
    document = look(wired.a)
    near, far = stations(document, "enp3s0"), stations(document, "gretap1")
    assert device in near and device not in far and host_b in far and host_b not in near
    assert near[device]["age"] <= 60
    there = look(wired.b)
    assert device in stations(there, "gretap1") and host_b in stations(there, "enp2s0")


def test_counters_grow_by_what_was_sent(wired):
    """Other frames than ours are few: neighbour discovery, the probe of an event."""
    before, at = look(wired.a)["tunnels"][0], samples(wired.a)
    assert wired.device.ping(HOST_B, count=FRAMES, interval=0.05) == FRAMES
    after, then = look(wired.a)["tunnels"][0], samples(wired.a)
    for way in ("sent", "received"):
        assert FRAMES <= after[way]["frames"] - before[way]["frames"] <= FRAMES + 15
        assert after[way]["errors"] == after[way]["dropped"] == 0
    for name in ("l2wg_tunnel_transmit_frames_total", "l2wg_tunnel_receive_frames_total"):
        name += '{tunnel="gretap1"}'
        assert FRAMES <= then[name] - at[name] <= FRAMES + 20
    assert then['l2wg_guard_loaded{tunnel="gretap1"}'] == then['l2wg_tunnel_healthy{tunnel="gretap1"}'] == 1


# A GRE packet with an empty frame in it, from argv[1] to argv[2] (ip(7): IPPROTO_RAW).
GRE = """
import socket, struct, sys
source, target = (socket.inet_aton(word) for word in sys.argv[1:])
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 47, 0, source, target)
wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for _ in range(3):
    try:
        wire.sendto(head + bytes.fromhex("00006558") + b"\\xff" * 60, (sys.argv[2], 0))
    except PermissionError:  # what a rule drops on the way out is told to the sender
        pass
"""


def test_packets_that_the_guard_drops_are_counted(wired):
    def dropped(site):
        return look(site)["tunnels"][0]["dropped"]

    before = [dropped(site) for site in wired.sites]
    # Somebody in the LAN of A says to be router B; something on B has its packets leave by the WAN.
    wired.host_a.run(["/usr/bin/python3", "-c", GRE, "192.168.92.1", "192.168.178.1"])
    wired.b.sh("ip rule add to 192.168.178.1 pref 77 table 77; ip route add 192.168.178.1 via 203.0.113.10 dev enp1s0 table 77")
    try:
        wired.b.run(["/usr/bin/python3", "-c", GRE, "192.168.92.1", "192.168.178.1"])
    finally:
        wired.b.sh("ip rule del pref 77; ip route flush table 77")
    after = [dropped(site) for site in wired.sites]
    grown = [{what: new[what] - old[what] for what in new if new[what] != old[what]} for old, new in zip(before, after)]
    assert grown == [{"injection": 3}, {"leak": 3}]
    name = 'l2wg_guard_dropped_packets_total{tunnel="gretap1",reason="%s"}'
    assert samples(wired.a)[name % "injection"] == after[0]["injection"] and samples(wired.b)[name % "leak"] == after[1]["leak"]


def test_the_screen_fits_and_tells_no_secret(wired):
    text = wired.a.l2wg("status").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text, "no terminal, no colours"
    for keys in wired.keys:
        assert keys.private not in text + wired.a.l2wg("status", "--json").stdout + wired.a.l2wg("metrics").stdout
    drawn = wired.a.run(["env", "LC_ALL=C", "l2wg", "status", "--diagram"]).stdout
    assert drawn.isascii() and "gretap1" in drawn
    assert "┌" in wired.a.run(["env", "LC_ALL=C.UTF-8", "l2wg", "status", "--diagram"]).stdout


def test_watching_shows_rates_and_ends_by_ctrl_c(wired):
    script = "timeout -s INT 12 l2wg status --watch 1; echo rc $?"
    watch = wired.a.start(["sh", "-c", script])
    wired.device.ping(HOST_B, count=60, interval=0.1)
    result = watch.wait()
    assert result.stderr == "" and "Traceback" not in result.stdout
    assert result.stdout.count("nothing is wrong") >= 2
    assert any(int(rate) >= 2 for rate in re.findall(r"(\d+) frames/s", result.stdout))


def test_watching_at_a_terminal_fits_it_and_asks_the_peer(wired):
    # util-linux' script(1) gives it a terminal.
    inner = "stty rows 24 cols 80; timeout -s INT 10 l2wg status --watch 1 || :"
    typescript = wired.a.run(["env", "TERM=xterm", "script", "-qec", inner, "/dev/null"], timeout=60).stdout
    *_, last = typescript.split("\x1b[H")
    lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", last).replace("\r", "").split("\n")
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert re.search(r"gretap1 up, handshake .*, round trip [0-9.]+ ms", last)
    assert re.search(r"received +[0-9.]+ k?bit/s", last)
    sent = wired.a.sh("wg show wg0 transfer").stdout
    assert sent, "the probe below sees what WireGuard sends"
    before = int(wired.a.sh("wg show wg0 transfer | cut -f3").stdout)
    wired.a.run(["env", "TERM=xterm", "script", "-qec", "l2wg status", "/dev/null"], timeout=60, check=False)
    assert int(wired.a.sh("wg show wg0 transfer | cut -f3").stdout) - before < 20 * 32, "without --watch nothing is sent but keepalives"


def test_a_file_is_written_in_one_move_for_everybody_to_read(wired):
    wired.a.l2wg("metrics", "--output", "/run/l2wg.prom")
    assert wired.a.sh("stat -c %a /run/l2wg.prom; ls -a /run | grep -c '^.l2wg-' || :").stdout.split() == ["644", "0"]
    assert wired.a.read("/run/l2wg.prom").startswith("# HELP l2wg_build_info ")


def test_no_root_no_traceback(wired):
    result = wired.a.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "l2wg", "status"], check=False)
    assert (result.rc, result.stdout) == (3, "") and "`l2wg status` is for root" in result.stderr and "Traceback" not in result.stderr


PROM = "/var/lib/prometheus/node-exporter/l2wg.prom"
ROUTER = """
set -e
ip link add wg9 type wireguard; ip address add 10.9.9.1/24 dev wg9; ip link set wg9 up
ip link add br9 type bridge; ip link set br9 up
printf 'underlay = wg9\\nlocal = 10.9.9.1\\nremote = 10.9.9.2\\nbridge = br9\\n' >/etc/l2wg/gt9.conf
l2wg up wg9 --strict
udevadm settle
"""
REST = "l2wg down --all; rm -rf /etc/l2wg/gt9.conf /var/lib/prometheus; ip link del br9; ip link del wg9"


def test_the_timer_s_service_and_the_age_of_a_tunnel(wired):
    """On the machine itself: systemd and udev are its own, not the sites'."""
    machine = wired.vm
    assert machine.run(["systemctl", "is-enabled", "l2wg-metrics.timer"], check=False).stdout.strip() == "disabled"
    assert machine.run(["systemctl", "is-active", "l2wg-metrics.timer"], check=False).stdout.strip() == "inactive"
    machine.sh(ROUTER, timeout=120)
    try:
        machine.run(["systemctl", "start", "l2wg-metrics.service"])
        assert machine.run(["test", "-e", PROM], check=False).rc == 1, "nobody has that directory, and it is not ours to make"
        machine.sh("mkdir -p /var/lib/prometheus/node-exporter; systemctl start l2wg-metrics.service")
        text = machine.get(PROM).decode()
        for name in ("tunnel_up", "tunnel_joined", "guard_loaded"):
            assert 'l2wg_%s{tunnel="gt9"} 1\n' % name in text, "it is allowed to look at all of it"
        assert machine.sh("stat -c %a " + PROM).stdout.strip() == "644"
        first = json.loads(machine.run(["l2wg", "status", "--json"], check=False).stdout)["tunnels"][0]["age"]
        machine.sh("udevadm trigger /sys/class/net/gt9; udevadm settle; sleep 2")
        second = json.loads(machine.run(["l2wg", "status", "--json"], check=False).stdout)["tunnels"][0]["age"]
        assert 0 <= first < 120 and first + 2 <= second, "it is not the age of what udev did last"
    finally:
        machine.sh(REST, timeout=120)


def test_what_is_wrong_is_told(wired):
    """Last of all: WireGuard goes, and the wire with it."""
    wired.a.sh("ip link set wg0 down")
    try:
        document = look(wired.a, rc=1)
        assert not document["ok"]
        assert ("wrong", "gretap1", "wg0 is down") in [(fault["level"], fault["about"], fault["message"]) for fault in document["faults"]]
        assert "WRONG" in wired.a.l2wg("status", check=False).stdout
        assert samples(wired.a)['l2wg_tunnel_healthy{tunnel="gretap1"}'] == 0
    finally:
        wired.a.sh("wg-quick down wg0; wg-quick up wg0", timeout=120)
    wired.comes_back()
    wired.a.sh("nft delete table inet l2wg")
    document = look(wired.a, rc=1)
    assert document["guard_intact"] is False and document["tunnels"][0]["guarded"] is False
    assert any("the rules are not in force" in fault["message"] for fault in document["faults"])
    wired.a.l2wg("up", "wg0")
    wired.b.sh("ip link set gretap1 nomaster; ip link set br0 mtu 1400")
    document = look(wired.b, rc=1)
    said = " ".join(fault["message"] for fault in document["faults"])
    assert "it is not a port of br0" in said and "the MTU of br0 is 1400" in said
    wired.b.sh("ip link set br0 mtu 1500")
    wired.b.l2wg("up", "wg0")
    eventually(lambda: wired.b.l2wg("status", check=False).rc == 0, 30)
