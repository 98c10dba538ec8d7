"""contrib/ansible: the text of a file of sites as its module `sites` makes it, which is no part of l2wg and knows little of cards."""

import importlib.util

import nets
import pytest
from conftest import TREE
from l2wg_hooks.config import card, site_faults, site_lines

SOURCE = TREE / "contrib/ansible/plugins/module_utils/sites_text.py"
SPEC = importlib.util.spec_from_file_location("sites_text", SOURCE)
sites_text = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(sites_text)

HEAD = "# in git\nnet shape=star hub=site0\n"
THREE = HEAD + nets.line(0, "  # hq") + nets.line(1, "bridge-ports=enp3s0   # branch") + nets.line(2)


def given(number, name="", host="", **words):
    name = name or f"site{number}"
    words = {key.replace("_", "-"): value for key, value in words.items()}
    return {"host": host or f"router{number}", "name": name, "card": card.encode(nets.site(number, name)), "words": words}


def updated(text, *sites, net=None):
    """The text as it is to be, which l2wg takes, and where the same again changes nothing."""
    new, _, _ = found = sites_text.updated(text, nets.PATH, net, sites)
    assert sites_text.updated(new, nets.PATH, net, sites)[:2] == (new, [])
    assert site_faults.between(site_lines.parse(new, nets.PATH), nets.PATH).problems == ()
    return found


def refused(text, *sites, net=None):
    with pytest.raises(sites_text.Refused) as error:
        sites_text.updated(text, nets.PATH, net, sites)
    said = str(error.value)
    assert "\n  hint: " in said
    return said


def test_it_knows_the_key_and_the_name_of_every_card():
    for number in range(30):
        name, key = sites_text.identity(card.encode(nets.site(number, lan="10.0.0.0/8", joined=True)._replace(number=7)))
        assert (name, key) == (f"site{number}", nets.base64.b64decode(nets.key(number)).hex())


def test_a_file_is_made_of_nothing():
    text, lines, gone = updated("", given(0, bridge="br0"), given(1, bridge_ports=["enp3s0", "enp4s0"], vlans="untagged,10"), net={"shape": "star", "hub": "site0"})
    card0, card1 = given(0)["card"], given(1)["card"]
    assert text == f"net shape=star hub=site0\n{card0} bridge=br0  # site0\n{card1} bridge-ports=enp3s0,enp4s0 vlans=untagged,10  # site1\n"
    assert (lines, gone) == (["site0", "site1"], [])


def test_nothing_changes_where_all_is_as_it_is_given():
    assert updated(THREE, given(1, bridge_ports="enp3s0"), given(0), net={"shape": "star"}) == (THREE, [], [])


def test_whoever_is_not_in_this_run_keeps_the_line():
    new = THREE.replace("bridge-ports=enp3s0   # branch", "bridge-ports=enp3s0 mtu=1400  # branch")
    assert updated(THREE, given(1, mtu=1400)) == (new, ["site1"], [])
    text, lines, _ = updated(THREE, given(3))
    assert text == THREE + f"{given(3)['card']}  # site3\n" and lines == ["site3"]


def test_a_new_card_of_a_site_takes_the_place_of_the_old_one():
    old = THREE.replace(given(1)["card"], card.encode(nets.site(1, endpoint="old.example.org:1")))
    text, lines, _ = updated(old, given(1))
    # The comment stays in its column where it can.
    assert [line.split() for line in text.splitlines()] == [line.split() for line in THREE.splitlines()] and lines == ["site1"]


def test_a_site_that_changes_its_key_keeps_the_line_that_rekey_printed():
    """Until it has switched, its router prints the card with the former key; afterwards the other one."""
    line = nets.line(91, f"was={nets.key(1)} bridge-ports=enp3s0", name="site1", addresses=("198.18.0.2",))
    text = HEAD + nets.line(0) + line
    after = dict(given(1), card=line.split()[0])
    for site in (given(1), after):
        assert updated(text, site) == (text, [], [])
        site = dict(site, words={"bridge-ports": "enp4s0"})
        assert updated(text, site) == (text.replace("enp3s0", "enp4s0"), ["site1"], [])
    assert "router9 has the key of site1" in refused(text, dict(given(1, name="site9", host="router9")))
    assert "router1 has another key now" in refused(text.replace(nets.key(1), "x"), given(1)), "what is no key is nobody's"
    assert "router1 and router9 have one key" in refused(text, given(1), dict(after, host="router9"))
    assert updated(text.replace(" bridge-ports", " gone=2026-11-29 bridge-ports"), given(1))[2] == ["site1"]


def test_words_that_are_not_given_stay_and_empty_ones_go():
    text = updated(THREE, given(1, bridge_ports="", isolated=True, dhcp="block"))[0]
    assert text == THREE.replace("bridge-ports=enp3s0   #", "isolated=yes dhcp=block  #")
    assert updated(text, given(1, isolated=""), net={"isolated": False})[0] == THREE.replace("hub=site0", "hub=site0 isolated=no").replace(
        "bridge-ports=enp3s0   #", "dhcp=block               #"
    )


def test_line_ends_and_odd_lines_stay():
    text = THREE.replace("\n", "\r\n") + "\r\n# the end\r\n"
    assert updated(text, given(2, mtu=1400))[0] == text.replace(given(2)["card"], f"{given(2)['card']} mtu=1400")
    # What is broken is the routers' to refuse, by its line; it is not written anew.
    assert sites_text.updated(THREE + "L2WG1:CUT\n", nets.PATH, None, [given(2)])[0] == THREE + "L2WG1:CUT\n"


def test_a_site_that_is_out_stays_out():
    text = THREE + nets.line(3, "gone=2026-11-25")
    assert updated(text, given(3, bridge_ports="enp3s0")) == (text, [], ["site3"])
    # One with a new key and the name of one that is out is another site.
    assert updated(text, given(4, name="site3"))[1] == ["site3"]


@pytest.mark.parametrize(
    "text, sites, said",
    [
        (THREE[:-1], [], "/etc/l2wg/sites:5: the last line has no end"),
        (THREE.replace("net ", "# net "), [], "has no line of the net"),
        (THREE, [dict(given(3), card="nonsense")], "expected a card, not 'nonsense'"),
        (THREE, [dict(given(3), card=given(3)["card"].replace("L2WG1", "L2WG2"))], "is cut, or of another version"),
        (THREE, [dict(given(3), card="L2WG1:AAAA:00000000")], "a card without a name and a key"),
        (THREE, [given(3, mtu="1400 # x")], "'1400 # x' cannot be a value"),
        (THREE, [given(3, **{"MTU": 1})], "'MTU' is no word"),
        # No router takes another one's line.
        (THREE, [dict(given(0), name="site3")], "the card of router0 says that it is site0, not site3"),
        (THREE, [given(0, name="site9")], "/etc/l2wg/sites:3: router0 has the key of site0"),
        (THREE, [given(9, name="site0")], "/etc/l2wg/sites:3: router9 has another key now"),
        (THREE, [given(3), given(3, host="copy")], "router3 and copy have one key"),
        (THREE, [given(3), given(4, name="site3")], "router3 and router4 have one name"),
    ],
)
def test_what_is_refused(text, sites, said):
    assert said in refused(text, *sites)


def test_the_line_of_a_site_that_changes_its_key_stays_until_it_has():
    """Its card is that of the key until now, and the line has the next one."""
    changing = nets.line(8, f"was={nets.key(1)}", name="site1", addresses=("198.18.0.2",))
    text = "net hub=site0\n" + nets.line(0) + changing
    new, lines, _ = sites_text.updated(text, "sites", None, [given(1, mtu="1400")])
    assert new == text.replace(changing, changing.replace("\n", " mtu=1400\n")) and lines == ["site1"]
    # Once it has switched, its card is the one in the line; a third key is none of it.
    card = changing.split()[0]
    assert sites_text.updated(text, "sites", None, [dict(given(1), card=card)])[0] == text
    assert "has another key now" in refused(text, given(9, name="site1", host="router1"))
