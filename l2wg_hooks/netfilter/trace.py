"""What a firewall says of one packet: the rules of nft(8) and iptables(8), walked. Pure.

It claims that a packet is dropped only where that is certain. A match that it does not know may be true or false, so
whatever it could let pass counts as passed.
"""

import ipaddress
import shlex

from l2wg_hooks.system import json_fields
from l2wg_hooks.typed import Dict, List, NamedTuple, Optional, Tuple

ACCEPT, DROP, UNSURE = "accept", "drop", "unsure"
# Deeper than iptables and nft(8) let chains call each other.
DEPTH = 20
KNOWN_CHAINS = {"input": "INPUT", "forward": "FORWARD"}


class Packet(NamedTuple):
    """The first packet of a connection, so far as it matters; None: it may be anything.

    One that is not `tracked` belongs to no connection, as a tunnel's own: table inet l2wg sees to that.
    """

    hook: str
    family: int
    iif: str
    oif: Optional[str] = None
    source: Optional[str] = None
    target: Optional[str] = None
    protocol: Optional[str] = None
    port: Optional[int] = None
    tracked: bool = True


class Rule(NamedTuple):
    """`true` says whether it matches: True, False, or None where that is not known."""

    true: Optional[bool]
    verb: str
    target: str = ""


class Base(NamedTuple):
    """A chain at the packet's hook: its name to people, its rules' name, its policy."""

    where: str
    table: str
    name: str
    policy: str


class Filter(NamedTuple):
    """Base chains, and all {name: rules} that they may reach."""

    bases: Tuple[Base, ...]
    chains: Dict[str, List[Rule]]


def drops(found):
    """The Bases of a Filter that drop the packet for certain."""
    for base in found.bases:
        result = _walk(found.chains, found.chains.get(base.name, []), {})
        if (base.policy if result is None else result) == DROP:
            yield base


def _walk(chains, rules, known, depth=0):
    """ACCEPT, DROP, UNSURE, or None where the packet comes out at the end of `rules`.

    `known` are the chains that have been walked: many may jump to the same one.
    """
    if depth > DEPTH:
        return UNSURE
    for index, rule in enumerate(rules):
        result = rule.verb
        if rule.true is False or rule.verb == "":
            continue
        if rule.verb == "return":
            if rule.true or _walk(chains, rules[index + 1 :], known, depth + 1) is None:
                return None
            return UNSURE
        if rule.verb in ("jump", "goto"):
            if rule.target not in known:
                known[rule.target] = _walk(chains, chains.get(rule.target, []), known, depth + 1)
            result = known[rule.target]
            if result is None:
                if rule.verb == "goto":
                    return None if rule.true else UNSURE
                continue
        if rule.true:
            return result
        if result != DROP:
            return UNSURE
    return None


def _all(truths):
    """Whether all matches of a rule are true."""
    truths = list(truths)
    if any(truth is False for truth in truths):
        return False
    return None if any(truth is None for truth in truths) else True


def _interface(known, wanted, wildcard):
    if known is None:
        return None
    return known.startswith(wanted[:-1]) if wanted.endswith(wildcard) else known == wanted


def _within(known, network):
    if known is None:
        return None
    try:
        address, wide = ipaddress.ip_address(known), ipaddress.ip_network(network, strict=False)
    except ValueError:
        return None
    return address in wide if address.version == wide.version else False


def _state(words, packet):
    """conntrack's view of the packet: of a new connection that no NAT has touched, or of none."""
    known = {"new": packet.tracked, "established": False, "related": False, "invalid": False, "untracked": not packet.tracked}
    truths = [known.get(word.lower()) for word in words]
    return True if True in truths else _all(truths)


PROTOCOLS = {"47": "gre", "17": "udp", "6": "tcp", "1": "icmp", "58": "ipv6-icmp", "0": "all"}
# What nft 0.9.0 prints for the ports that a LAN asks for: /etc/services.
SERVICES = {"ssh": 22, "domain": 53, "bootps": 67, "bootpc": 68, "http": 80, "https": 443}
VERBS = {"ACCEPT": ACCEPT, "DROP": DROP, "REJECT": DROP, "RETURN": "return", "NFQUEUE": ACCEPT, "QUEUE": ACCEPT}


class Saved(NamedTuple):
    """Table filter as iptables-save(8) prints it: the policy of each chain, and (chain, words) of each rule, in their order."""

    policies: Dict[str, str]
    rules: Tuple[Tuple[str, Tuple[str, ...]], ...]


def saved(text) -> Saved:
    """What iptables-save(8) printed, or its IPv6 twin. Once for all packets: it costs more than to walk it."""
    policies: Dict[str, str] = {}
    rules, table = [], ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif table != "filter":
            continue
        elif line.startswith(":"):
            chain, _, rest = line[1:].partition(" ")
            policies[chain] = rest.split(" ")[0].lower()
        elif line.startswith("-A "):
            try:
                words = shlex.split(line)
            except ValueError:
                words = line.split()
            if len(words) > 1:
                rules.append((words[1], tuple(words[2:])))
    return Saved(policies, tuple(rules))


def xtables(known: Saved, packet, command=""):
    """The Filter of a Saved, for this packet.

    `command` is what changes it, where that is neither iptables nor ip6tables by its plain name.
    """
    name = KNOWN_CHAINS[packet.hook]
    chains: Dict[str, List[Rule]] = {chain: [] for chain in known.policies}
    for chain, words in known.rules:
        chains.setdefault(chain, []).append(_xrule(words, packet, chains))
    command = command or ("iptables" if packet.family == 4 else "ip6tables")
    policy = known.policies.get(name)
    bases = () if policy is None else (Base(f"{command}: chain {name}", command, name, policy),)
    return Filter(bases, chains)


def _xrule(words, packet, chains):
    truths, negated, words = [], False, list(words)
    while words:
        word = words.pop(0)
        if word == "!":
            negated = True
            continue
        if word in ("-j", "-g"):
            target = words[0] if words else ""
            verb = VERBS.get(target) or (("jump" if word == "-j" else "goto") if target in chains else "")
            return Rule(_all(truths), verb, target)
        if not word.startswith("-"):
            continue
        value = words[0] if words else ""
        truth = _xmatch(word, value, packet)
        truths.append(not truth if negated and truth is not None else truth)
        negated = False
    return Rule(_all(truths), "")


def _xmatch(option, value, packet):
    if option in ("-m", "--comment"):
        return True
    if option in ("-i", "-o"):
        return _interface(packet.iif if option == "-i" else packet.oif, value, "+")
    if option in ("-s", "-d"):
        return _within(packet.source if option == "-s" else packet.target, value)
    if option == "-p":
        protocol = PROTOCOLS.get(value, value)
        return True if protocol == "all" else None if packet.protocol is None else protocol == packet.protocol
    if option in ("--ctstate", "--state"):
        return _state(value.split(","), packet)
    if option == "--dport":
        return None if packet.port is None else _port(packet.port, value.partition(":"))
    if option == "--dst-type" and packet.hook == "input":
        return value == "LOCAL"
    return None


def _port(port, bounds):
    first, colon, last = bounds
    try:
        return int(first or 0) <= port <= int((last or 65535) if colon else first)
    except ValueError:
        return None


FAMILIES = ("inet", "ip", "ip6")
# Statements that let the packet go on to the next one.
HARMLESS = ("counter", "log", "mangle", "comment", "notrack", "set")


def listing(text, skip=()) -> Optional[Tuple[dict, ...]]:
    """The chains and rules of what `nft -j list ruleset` printed; None where it was built without JSON: text, or nothing.

    Tables of other families than IP's are left out, and those of `skip`, (family, name) each. Once for all packets: l2wg's own
    have as many elements, and rules, as there are tunnels.
    """
    try:
        found = json_fields.load(text)
    except json_fields.Unfit:
        return None
    if not isinstance(found, dict):
        return None
    try:
        return tuple(_entries(found.get("nftables", ()), skip))
    except (LookupError, TypeError, AttributeError):
        return ()


def _entries(found, skip):
    for entry in found:
        item = entry.get("chain") or entry.get("rule")
        if item and item["family"] in FAMILIES and (item["family"], item["table"]) not in skip:
            yield entry


def nft(listed, packet, skip=()):
    """The Filter of a `listing`, without the tables of `skip`, (family, name) each.

    It says nothing where that comes of another nft(8) than those we know. That of 0.9.0 has another form than all later ones: no
    `op` for equality, names where others have objects, and ports by their services' names, most of which count as not known.
    """
    try:
        return _nft(listed or (), packet, skip)
    except (ValueError, LookupError, TypeError, AttributeError):
        return Filter((), {})


def _nft(listed, packet, skip):
    bases, chains = [], {}
    families = ("inet", "ip" if packet.family == 4 else "ip6")
    for entry in listed:
        chain, rule = entry.get("chain"), entry.get("rule")
        item = chain or rule
        if item["family"] not in families or (item["family"], item["table"]) in skip:
            continue
        prefix = "{} {} ".format(item["family"], item["table"])
        if chain:
            chains.setdefault(prefix + chain["name"], [])
            if chain.get("hook") == packet.hook:
                where = "nft: table {}chain {}".format(prefix, chain["name"])
                bases.append(Base(where, prefix.strip(), prefix + chain["name"], chain.get("policy", ACCEPT)))
        else:
            chains.setdefault(prefix + rule["chain"], []).append(_nrule(rule["expr"], packet, prefix))
    return Filter(tuple(bases), chains)


def _nrule(statements, packet, prefix):
    truths = []
    for statement in statements:
        ((key, value),) = statement.items()
        if key == "match":
            truths.append(_nmatch(value, packet))
        elif key in (ACCEPT, DROP, "return"):
            return Rule(_all(truths), key)
        elif key == "reject":
            return Rule(_all(truths), DROP)
        elif key in ("jump", "goto"):
            return Rule(_all(truths), key, prefix + (value if isinstance(value, str) else value["target"]))
        elif key in ("vmap", "map", "queue", "xt"):
            return Rule(None if _all(truths) is not False else False, ACCEPT)
        elif key not in HARMLESS:
            truths.append(None)  # a limit, perhaps
    return Rule(_all(truths), "")


def _nmatch(match, packet):
    left, right = match["left"], match["right"]
    values = right.get("set", [right]) if isinstance(right, dict) else right if isinstance(right, list) else [right]
    truths = [_nvalue(left, value, packet) for value in values if not isinstance(values, str)]
    truth = True if True in truths else _all(truths) if truths else None
    if match.get("op") == "!=":
        return None if truth is None else not truth
    return truth if match.get("op", "==") in ("==", "in") else None


def _nvalue(left, value, packet):
    """Whether an expression of nft(8) has one value."""
    if not isinstance(left, dict) or (isinstance(value, str) and value.startswith("@")):
        return None
    meta, payload, conntrack = left.get("meta"), left.get("payload"), left.get("ct")
    if conntrack:
        # No NAT has touched it.
        status = False if value in ("dnat", "snat") else None
        return {"state": _state([str(value)], packet), "status": status}.get(conntrack.get("key"))
    if meta:
        key = meta if isinstance(meta, str) else meta.get("key")
        if key in ("iifname", "iif", "oifname", "oif") and isinstance(value, str):
            return _interface(packet.iif if key.startswith("iif") else packet.oif, value, "*")
        if key == "l4proto":
            name = PROTOCOLS.get(str(value), value)
            return None if packet.protocol is None else name == packet.protocol
        if key == "nfproto":
            return value == "ipv%d" % packet.family
        return None
    if payload:
        return _npayload(payload.get("protocol", payload.get("name")), payload.get("field"), value, packet)
    return None


def _npayload(protocol, field, value, packet):
    if protocol in ("ip", "ip6"):
        if (protocol == "ip6") != (packet.family == 6):
            return False
        if field in ("saddr", "daddr"):
            prefix = value.get("prefix") if isinstance(value, dict) else {"addr": value, "len": 32 if protocol == "ip" else 128}
            known = packet.source if field == "saddr" else packet.target
            return _within(known, "{}/{}".format(prefix["addr"], prefix["len"])) if prefix else None
        if field in ("protocol", "nexthdr"):
            return None if packet.protocol is None else PROTOCOLS.get(str(value), value) == packet.protocol
        return None
    if protocol in ("tcp", "udp", "icmp", "icmpv6", "th"):
        name = {"icmpv6": "ipv6-icmp"}.get(protocol, protocol)
        if protocol != "th" and packet.protocol not in (None, name):
            return False
        if field == "dport" and packet.port is not None and packet.protocol is not None:
            if isinstance(value, dict) and "range" in value:
                first, last = (SERVICES.get(str(bound), bound) for bound in value["range"])
                return first <= packet.port <= last if isinstance(first, int) and isinstance(last, int) else None
            value = SERVICES.get(str(value), value)
            return value == packet.port if isinstance(value, int) else None
    return None
