"""VXLAN (RFC 7348)."""

# RFC 7348: the VXLAN network identifier has 24 bits. Empty `key`: a number that both routers come to by themselves.
VNI_MAX, VNI_DEFAULT = 2**24 - 1, 1
# The UDP port that IANA has for VXLAN. The kernel's own default is 8472, from before (drivers/net/vxlan/vxlan_core.c).
UDP_PORT = 4789
