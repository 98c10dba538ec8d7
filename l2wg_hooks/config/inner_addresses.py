"""Addresses inside WireGuard that nobody has to agree on: each follows from a key, or from a name. Pure."""

import hashlib
import ipaddress

# RFC 2544, for benchmarks, and routed by nobody (RFC 6890). A home's LAN is in 10/8, 172.16/12 or 192.168/16, so are Docker and
# most VPNs; 100.64/10 is the provider's, and Tailscale drops it from elsewhere. Only single addresses of it are ever used.
INNER = ipaddress.ip_network("198.18.0.0/15")
# Of names' addresses, how many are tried before the network is gone through.
_TRIES = 64


def of(seed, network=INNER):
    """The address of a network that follows from bytes. A /31 or /32 has none to give."""
    digest = hashlib.sha256(seed).digest()
    return str(network[1 + int.from_bytes(digest[:8], "big") % (network.num_addresses - 2)])


def free(name, network, taken):
    """The address of a network that follows from a site's name, and is not `taken`; None where all are.

    The same name gets the same one as long as nobody else has it. Each try is another digest, not the next address: two names of
    which one has had to give way do not meet again beside it.
    """
    for number in range(_TRIES):
        found = of(name.encode() + b"\n%d" % number, network)
        if found not in taken:
            return found
    return next((str(address) for address in network.hosts() if str(address) not in taken), None)
