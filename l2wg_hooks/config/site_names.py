"""What the tunnel to a site is called. Pure."""

import zlib

from l2wg_hooks.system import json_fields

# The one tunnel of a mesh of VXLAN, at each of its sites.
MESH = "mesh"
# That of a site to two hubs, of which it listens to one.
HUBS = "hubs"


def tunnel(site):
    """The site's name; of one that is too long for the kernel its beginning, and six digits that tell it from others'."""
    if len(site) <= json_fields.NAME_BYTES:
        return site
    digits = f"{zlib.crc32(site.encode()) & 0xFFFFFF:06x}"
    return f"{site[: json_fields.NAME_BYTES - 7]}-{digits}"
