"""Causes: all that `l2wg check` knows to be able to go wrong. The one table that it and docs/troubleshooting.md have.

An id is for programs (`l2wg check --json`): once released it keeps its meaning, and never comes back with another one.
"""

from l2wg_hooks.check import (
    boot,
    endpoint_dns,
    evpn,
    firewalls,
    hub,
    lan,
    loops,
    modules,
    peer,
    permissions,
    routing,
    settings,
    underlay,
    waiting,
    walls,
    watch,
    wg_quick_hooks,
)
from l2wg_hooks.check.cause import ORDER

# Each has CAUSES, and CHECKS where it looks by itself. In the order in which they look.
MODULES = (settings, boot, wg_quick_hooks, waiting, modules, underlay, endpoint_dns, evpn) + (
    routing,
    hub,
    lan,
    permissions,
    firewalls,
    walls,
    watch,
    peer,
    loops,
)
CHECKS = tuple(sorted((check for module in MODULES for check in getattr(module, "CHECKS", ())), key=lambda check: check.asked))
TABLE = tuple(cause for module in MODULES for cause in module.CAUSES)
BY_ID = {cause.id: cause for cause in TABLE}

HEAD = """# Troubleshooting

What `l2wg check` looks for: symptom, cause, cure. Run it first, on both routers: it says which of these it is, with the
names, numbers and commands of your case. It changes nothing. `-v` lists what it has looked at, `--json` is for programs,
and the words in `this type` are the ids there.

This page is made from the causes in `l2wg_hooks/check`, by `make docs`.
"""


def page():
    """The text of docs/troubleshooting.md."""
    symptoms = []
    for cause in TABLE:
        if cause.symptom not in symptoms:
            symptoms.append(cause.symptom)
    parts = [HEAD]
    for symptom in sorted(symptoms, key=ORDER.index):
        parts.append(f"## {symptom}\n\n| id | cause | cure |\n|---|---|---|")
        rows = [cause for cause in TABLE if cause.symptom == symptom]
        parts[-1] += "".join(f"\n| `{cause.id}` | {_cell(cause.cause)} | {_cell(cause.cure)} |" for cause in rows) + "\n"
    return "\n".join(parts)


def _cell(text):
    return text.replace("|", "\\|")
