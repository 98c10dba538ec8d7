import pathlib

import pytest
from l2wg_hooks.config import conflicts, schema
from l2wg_hooks.config.tunnel_file import edit, fresh, parse

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "settings"
RIGHT = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\n"


def read(path):
    with open(str(path), encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()


def parsed(text, name="gretap1"):
    tunnel, problems = parse(text, "/etc/l2wg/%s.conf" % name, name)
    assert problems == ()
    return tunnel


def wrong(text, name="gretap1"):
    tunnel, problems = parse(text, "/etc/l2wg/%s.conf" % name, name)
    assert tunnel is None
    return [str(problem) for problem in problems]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("good-*.conf")), ids=lambda path: path.stem)
def test_good_files_say_what_their_values_files_say(path):
    tunnel = parsed(read(path), path.stem[:15])
    said = []
    for key in schema.ASKED:
        value = getattr(tunnel, schema.KEYS[key].field)
        value = ",".join(value) if isinstance(value, tuple) else value
        if key in tunnel.lines:
            said.append("%s=%s" % (key, value))
    assert "\n".join(said) + "\n" == read(path.with_suffix(".values"))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("bad-*.conf")), ids=lambda path: path.stem)
def test_bad_files_are_told_all_that_is_wrong_at_once(path):
    tunnel, problems = parse(read(path), path.name, "gretap1")
    assert tunnel is None
    assert "".join(f"{problem}\n" for problem in problems) == read(path.with_suffix(".problems"))


def test_there_are_golden_files():
    assert len(list(GOLDEN.glob("good-*.conf"))) >= 5
    assert len(list(GOLDEN.glob("bad-*.conf"))) >= 5


@pytest.mark.parametrize("name", ["gre0", "gretap0", "erspan0", "lo", "a" * 16, "with space", "semi;colon", "..", ""])
def test_a_tunnel_cannot_have_any_name(name):
    assert "name" in wrong(RIGHT, name)[0]


def test_a_name_of_fifteen_bytes_is_taken():
    assert parsed(RIGHT, "a" * 15).name == "a" * 15


@pytest.mark.parametrize("key", ["underlay", "local", "remote", "bridge"])
def test_keys_that_are_needed(key):
    text = "".join(line + "\n" for line in RIGHT.splitlines() if not line.startswith(key))
    assert wrong(text) == ["/etc/l2wg/gretap1.conf: %s: is missing\n  hint: add a line: %s = ..." % (key, key)]


@pytest.mark.parametrize(
    "line",
    ["encapsulation = gretap", "mss-clamp = off", "stp = no", "dhcp = pass", "vlans = all", "isolated = no"]
    + ["storm-limit = off", "link-local = no", "key =", "key = 4294967295", "mtu = 9000", "port =", "port = 4789"]
    + ["encapsulation = vxlan", "mss-clamp = nftables", "mss-clamp = iptables", "dhcp = block", "vlans = untagged, 10,20-30"]
    + ["isolated = yes", "storm-limit = 100", "link-local = yes", "bridge-ports = p1\nstp = yes"],
)
def test_wishes_that_are_granted(line):
    parsed(RIGHT + line + "\n")


@pytest.mark.parametrize(
    "line, complaint",
    [
        ("encapsulation = gre", "unknown value"),
        ("mtu = 1e3", "expected a number from"),
        ("mtu = 575", "expected a number from"),
        ("mtu = 9217", "expected a number from"),
        ("key = 4294967296", "expected a number from"),
        ("key = -1", "expected a number from"),
        ("key = 0x10", "expected a number from"),
        ("vlans = 0", "expected a list of VLANs"),
        ("vlans = 30-20", "expected a list of VLANs"),
        ("vlans = 4095", "expected a list of VLANs"),
        ("storm-limit = 0", "expected a number from"),
        ("stp = maybe", "unknown value"),
        ("bridge-ports = enp3s0 enp3s0", "named twice"),
        ("bridge-ports = br0", "cannot be a port"),
        ("bridge-ports = wg0", "cannot be a port"),
        ("bridge-ports = gretap1", "cannot be a port"),
        ("bridge-ports = a;b", "expected the name of an interface"),
        ("bridge-address = 192.168.92.1/24", "needs bridge-ports"),
        ("bridge-ports = enp3s0\nbridge-address = 192.168.92.1", "no prefix length"),
        ("bridge-ports = enp3s0\nbridge-address = 192.168.92.0/24", "is the network"),
        ("bridge-ports = enp3s0\nbridge-address = 192.168.92.255/24", "broadcast"),
        ("bridge-ports = enp3s0\nbridge-address = 192.168.92.1/33", "expected an address with a prefix length"),
        ("bridge-ports = enp3s0\nbridge-address = 192.168.92.1/255.255.255.0", "expected an address with a prefix length"),
    ],
)
def test_values_that_cannot_be(line, complaint):
    assert any(complaint in problem for problem in wrong(RIGHT + line + "\n"))


@pytest.mark.parametrize(
    "value",
    ["", "localhost", "192.168.92.1/24", "192.168.92.256", "0.0.0.0", "224.0.0.1", "127.0.0.1", "255.255.255.255"]
    + ["192.168.178.1", "2001:db8::1", "fe80::1", "$(reboot)", "1.2.3.4;reboot", "192.168.092.1", "192.168.01.1", "٣.1.1.1"],
)
def test_ends_that_cannot_be(value):
    problems = wrong(RIGHT.replace("192.168.92.1", value))
    assert all(problem.startswith("/etc/l2wg/gretap1.conf:3: remote: ") for problem in problems), problems


def test_a_line_that_says_nothing_is_an_error():
    (problem,) = wrong(RIGHT + "[tunnel]\n")
    assert problem.startswith("/etc/l2wg/gretap1.conf:5: '[tunnel]' is not `key = value`")


def test_a_key_that_stands_twice_names_both_lines():
    (problem,) = wrong(RIGHT + "bridge = br1\n")
    assert problem.startswith("/etc/l2wg/gretap1.conf:5: bridge: stands on line 4 already")


def test_a_misspelt_key_is_answered_with_the_right_one():
    assert "do you mean bridge-ports?" in wrong(RIGHT + "bridge-port = enp3s0\n")[0]


def test_two_files_that_contradict_each_other():
    first = parsed(RIGHT + "bridge-ports = enp3s0\nbridge-address = 10.0.0.1/24\n")
    second = parsed(RIGHT.replace("br0", "br1") + "bridge-ports = enp3s0\n", "gretap2")
    third = first._replace(name="gretap3", bridge_address="10.0.0.2/24", key=7)
    said = "\n".join(str(problem) for problem in conflicts.between([first, second, third]))
    assert "gretap1 has the same ends and key" in said
    assert "enp3s0 is a port of br0 already" in said
    assert "br0 has 10.0.0.1/24 already" in said
    assert list(conflicts.between([first, first._replace(name="gretap3", key=7)])) == []


def tunnels_of(bridge, count, *ports):
    """So many Tunnels into one bridge, the first with these ports."""
    of = parsed(RIGHT.replace("br0", bridge).replace("192.168.178.1", "10.0.0." + bridge[2:]))
    found = [of._replace(name=f"{bridge}t{number:04}", key=number, path=f"/etc/l2wg/{bridge}t{number:04}.conf") for number in range(count)]
    return [found[0]._replace(bridge_ports=ports), *found[1:]]


def test_a_bridge_takes_as_many_ports_as_the_kernel_numbers():
    """BR_PORT_BITS: ten bits, and number 0 is none."""
    assert list(conflicts.between(tunnels_of("br1", 1023) + tunnels_of("br2", 1022, "enp3s0"))) == []
    (problem,) = conflicts.between(tunnels_of("br1", 1024) + tunnels_of("br2", 5))
    assert (problem.path, problem.line, problem.key) == ("/etc/l2wg/br1t1023.conf", 4, "bridge")
    assert str(problem).startswith("/etc/l2wg/br1t1023.conf:4: bridge: br1 has 1023 ports by the files before this one, and no bridge takes more")
    assert "name another bridge" in problem.hint
    assert [problem.path for problem in conflicts.between(tunnels_of("br1", 1024, "enp3s0"))] == [f"/etc/l2wg/br1t{number}.conf" for number in (1022, 1023)]


def test_a_port_of_several_tunnels_takes_one_place():
    tunnels = [tunnel._replace(bridge_ports=("enp3s0", "enp4s0")) for tunnel in tunnels_of("br1", 1021)]
    assert list(conflicts.between(tunnels)) == []
    (problem,) = conflicts.between(tunnels[:-1] + [tunnels[-1]._replace(bridge_ports=("enp5s0",))])
    assert problem.path == tunnels[-1].path
    (problem,) = conflicts.between(tunnels + [tunnels[0]._replace(name="z", key=5000, path="/etc/l2wg/z.conf")])
    assert problem.path == "/etc/l2wg/z.conf"


def test_a_tunnel_that_finds_no_place_takes_none():
    crowd = tunnels_of("br1", 1022)
    large = crowd[0]._replace(name="x", key=5000, path="/etc/l2wg/x.conf", bridge_ports=("enp3s0", "enp4s0"))
    small = large._replace(name="y", key=5001, path="/etc/l2wg/y.conf", bridge_ports=())
    assert [problem.path for problem in conflicts.between([*crowd, large, small])] == ["/etc/l2wg/x.conf"]


def test_what_was_applied_finds_a_place_or_none():
    accepted = conflicts.Accepted(tunnels_of("br1", 1022))
    last, more = (tunnels_of("br1", 1)[0]._replace(name=name, key=5000 + number) for number, name in enumerate("xy"))
    assert (accepted.add(last), accepted.add(more)) == (True, False)


ODD = "# the camera\r\n\r\n  underlay=wg0   # up to site B\r\nbridge =\tbr0\r\nlocal = 192.168.178.1\r\nremote=192.168.92.1\r\nbridge-ports =   # none\r\n"


def test_edit_changes_values_and_nothing_else():
    new = edit(ODD, {"underlay": "wg1", "bridge-ports": "enp3s0 enp4s0", "remote": "10.0.0.1"})
    rows = ODD.split("\r\n")
    rows[2] = "  underlay= wg1   # up to site B"
    rows[5] = "remote= 10.0.0.1"
    rows[6] = "bridge-ports =   enp3s0 enp4s0# none"
    assert new == "\r\n".join(rows)
    assert parsed(new).bridge_ports == ("enp3s0", "enp4s0")


def test_edit_of_what_is_the_same_changes_no_byte():
    assert edit(ODD, {"underlay": "wg0", "bridge": "br0", "bridge-ports": "", "mtu": ""}) == ODD


def test_edit_adds_what_is_not_there_in_the_files_own_line_ends():
    assert edit(ODD, {"mtu": "1400"}) == ODD + "mtu = 1400\r\n"
    assert edit("bridge = br0", {"mtu": "1400"}) == "bridge = br0\nmtu = 1400\n"


def test_edit_can_empty_a_value():
    assert parsed(edit(RIGHT + "key = 7\n", {"key": ""})).key is None
    assert edit("key = 7 # seven\n", {"key": ""}) == "key =  # seven\n"


def test_a_new_file_says_what_it_was_made_of():
    tunnel = parsed(fresh("gretap1", {"underlay": "wg0", "local": "10.0.0.1", "remote": "10.0.0.2", "bridge": "br0", "mtu": "1400"}))
    assert (tunnel.local, tunnel.bridge_ports, tunnel.mtu) == ("10.0.0.1", (), 1400)


@pytest.mark.parametrize(
    "change, complaint",
    [
        ("remote = fd00::1", "remote: fd00::1 is of another family than local"),
        ("encapsulation = vxlan\nkey = 16777216", "key: 16777216 is too large for a VNI"),
        ("stp = yes", "stp: needs bridge-ports"),
    ],
)
def test_keys_that_do_not_go_together(change, complaint):
    text = "".join(row for row in RIGHT.splitlines(True) if row.split()[0] != change.split()[0])
    (problem,) = wrong(text + change + "\n")
    assert complaint in problem and "hint: " in problem


def test_the_kernels_word_for_a_tunnel_follows_from_its_ends():
    assert (parsed(RIGHT).kind, parsed(RIGHT).number) == ("gretap", None)
    six = RIGHT.replace("192.168.178.1", "fd00::1").replace("192.168.92.1", "fd00::2")
    assert parsed(six).kind == "ip6gretap"
    assert (parsed(six + "encapsulation = vxlan\n").kind, parsed(six + "encapsulation = vxlan\n").number) == ("vxlan", 1)


def test_a_vni_is_taken_once():
    tunnels = [parse(RIGHT.replace("192.168.92.1", "192.168.92.%d" % number) + "encapsulation = vxlan\n", "/%d" % number, "t%d" % number)[0] for number in (1, 2)]
    (problem,) = conflicts.between(tunnels)
    assert "t1 has the same VNI" in str(problem)


def test_a_port_is_a_vxlans():
    text = "underlay = wg0\nlocal = 10.0.0.1\nremote = 10.0.0.2\nbridge = br0\nport = %s\n"
    assert parse(text % "8472" + "encapsulation = vxlan\n", "/t", "t")[0].port == 8472
    assert parse(text % "4789", "/t", "t")[0].port == 4789
    (problem,) = parse(text % "8472", "/t", "t")[1]
    assert (problem.line, problem.key, problem.message) == (5, "port", "gretap has no UDP port")
    for bad in ("0", "65536", "http", "-1"):
        (problem,) = parse(text % bad + "encapsulation = vxlan\n", "/t", "t")[1]
        assert (problem.line, problem.key) == (5, "port") and "expected a number from 1 to 65535, not " in problem.message


def test_one_vni_at_two_ports_is_two_vxlans():
    text = "underlay = wg0\nlocal = 10.0.0.1\nremote = 10.0.0.%d\nbridge = br0\nencapsulation = vxlan\nport = %d\n"
    tunnel = parse(text % (2, 4789), "/1", "t1")[0]
    assert list(conflicts.between([tunnel, parse(text % (3, 8472), "/2", "t2")[0]])) == []
    (problem,) = conflicts.between([tunnel, parse(text % (3, 4789), "/2", "t2")[0]])
    assert "t1 has the same VNI and port" in problem.message


@pytest.mark.parametrize("line, port", [("", 4789), ("port =\n", 4789), ("port = 8472\n", 8472)])
def test_an_empty_port_is_the_encapsulations_own(line, port):
    assert parsed(RIGHT + "encapsulation = vxlan\n" + line).udp_port == port
    assert parsed(RIGHT).udp_port is None
