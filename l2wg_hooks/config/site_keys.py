"""Sites of /etc/l2wg/sites whose key changes: which one a line means by now, and who this router is by either. Pure."""

from l2wg_hooks.config import changed_keys
from l2wg_hooks.errors import Problem


def settled(lines, changed, path):
    """The Lines with the keys that count: `changed` is {former public key: new one} of what is changed for good.

    A `was` that is done with is none. A line with a former key is of an older copy of the file: it means the new one, and the
    mistake is told.
    """
    if not changed:
        return lines
    there = {site.key for site in lines.living()}
    sites, problems = [], list(lines.problems)
    for site in lines.sites:
        now = changed_keys.latest(site.key, changed)
        if not site.gone and now != site.key and now not in there:
            message = f"{site.name} has another key since, {now}: this line is from before that"
            hint = f"copy the newer file here; or, if {site.name} has its former key again: rm {changed_keys.PATH}; l2wg apply"
            problems.append(Problem(message, hint, path, site.line))
            site = site._replace(card=site.card._replace(key=now), was="")
        elif site.was and changed_keys.latest(site.was, changed) == site.key:
            site = site._replace(was="")
        sites.append(site)
    return lines._replace(sites=tuple(sites), problems=tuple(problems))


def found_by(lines, wires):
    """{public key: Wire} with the new key, too, of a site that is this router by its former one."""
    more = dict(wires)
    for site in lines.sites + lines.faulty:
        if site.was in wires and not site.gone:
            more.setdefault(site.key, wires[site.was])
    return more


def pending(lines):
    """{former public key: Site} of those that change their key."""
    return {site.was: site for site in lines.living() if site.was}
