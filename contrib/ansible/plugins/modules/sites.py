#!/usr/bin/python
"""The module `sites`: lines of a file of sites on the control node."""

DOCUMENTATION = r"""
---
module: sites
short_description: Bring the lines of some sites in a file of sites up to date
description:
  - Puts the cards of routers, and words for them, into a file as l2wg-sites(5) has it, the same on every router of a net.
  - A line stays where it is, and new ones come at the end. The lines of other sites stay as they are, and so do comments.
  - The line of a site that is out (C(gone=)) stays as it is, too.
  - Whose line it is, the public key in the card tells.
options:
  path:
    description: The file. It is made where it is not there.
    type: path
    required: true
  net:
    description: Words of the line of the net, such as C(shape) and C(hub). Those that are not given stay.
    type: dict
  sites:
    description: The sites to bring up to date, in the order in which new ones are to come.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Whose card it is, for messages.
        type: str
        required: true
      name:
        description: The name that the card has to have, so that no router takes the place of another one.
        type: str
        required: true
      card:
        description: What C(l2wg card) prints on that router.
        type: str
        required: true
      words:
        description: Words of its line, such as C(bridge-ports). Those that are not given stay, those that are empty go.
        type: dict
        default: {}
author:
  - l2wg developers (!UNKNOWN) <l2wg@example.org>
"""

EXAMPLES = r"""
- name: Put a router into the file of sites
  l2wg.l2wg.sites:
    path: "{{ inventory_dir }}/sites"
    net: {shape: star, hub: hq}
    sites:
      - host: "{{ inventory_hostname }}"
        name: "{{ inventory_hostname_short }}"
        card: "{{ card.stdout }}"
        words: {bridge-ports: enp3s0}
  delegate_to: localhost
"""

RETURN = r"""
text:
  description: The file as it is now or, in check mode, as it would be.
  type: str
  returned: always
lines:
  description: The names of the sites whose lines are new, or others than before.
  type: list
  elements: str
  returned: always
gone:
  description: The names of the given sites that are out by their lines, which stay as they are.
  type: list
  elements: str
  returned: always
"""

import os
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.l2wg.l2wg.plugins.module_utils import sites_text

SITE = {
    "host": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "card": {"type": "str", "required": True},
    "words": {"type": "dict", "default": {}},
}
SPEC = {
    "path": {"type": "path", "required": True},
    "net": {"type": "dict"},
    "sites": {"type": "list", "elements": "dict", "default": [], "options": SITE},
}


def main():
    """Run it."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    path = module.params["path"]
    try:
        old = _read(path)
        new, lines, gone = sites_text.updated(old, path, module.params["net"], module.params["sites"])
        if new != old and not module.check_mode:
            _write(module, path, new)
    except sites_text.Refused as error:
        module.fail_json(msg=str(error))
    except (OSError, UnicodeError) as error:
        module.fail_json(msg="%s: %s" % (path, error))
    diff = {"before": old, "after": new, "before_header": path, "after_header": path}
    module.exit_json(changed=new != old, text=new, lines=lines, gone=gone, diff=diff)


def _read(path):
    if not os.path.lexists(path):
        return ""
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def _write(module, path, text):
    """Replace the file in one move. Its mode, or that of any new file, stays; a symbolic link goes on pointing at it."""
    descriptor, temporary = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    module.atomic_move(temporary, os.path.realpath(path))


if __name__ == "__main__":
    main()
