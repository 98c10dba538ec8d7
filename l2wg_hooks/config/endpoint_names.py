"""Endpoints of wg-quick(8)'s files that are DNS names. Pure."""

import ipaddress

from l2wg_hooks.config import wg_quick_peers


def split(endpoint):
    """(name, port) of an endpoint as a file has it; ("", "") where it is an address, or nothing."""
    host, _, port = endpoint.rpartition(":")
    return (host, port) if host and not _is_address(host.strip("[]")) else ("", "")


def is_name(endpoint):
    """Whether an endpoint has to be resolved before anybody can be called there."""
    return bool(split(endpoint)[0])


def named(text):
    """{public key: (name, port)} of the peers in a wg-quick file whose Endpoint is a name."""
    found = {section.key: split(section.endpoint) for section in wg_quick_peers.sections(text)}
    return {key: where for key, where in found.items() if key and where[0]}


def _is_address(text):
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
