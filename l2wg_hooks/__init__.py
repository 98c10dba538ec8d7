"""Ethernet over WireGuard: gretap inside wg0, a port of br0. Nothing is imported here: hooks start in a hurry."""

__version__ = "0.1.0"
