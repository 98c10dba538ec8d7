"""`l2wg pair` of a card with `was=`: a site of the file of sites changes its key, or has changed its mind about that."""

from l2wg_hooks.config import changed_keys, invitation, site_edit, store
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.pairing import invite, membership

WAS = "was"


def find(other, values, net, path):
    """The Site whose line a card is to take the place of, with its {key: value} words; None where it is no such card.

    Raises L2wgError where it is one, and cannot be that.
    """
    was = values.get(WAS, "")
    if not was:
        # The card that it had before, while the other key has not come: the change is off.
        return next((site for site in net.lines.living() if site.was == other.key), None)
    for site in net.lines.living():
        if site.key == other.key and WAS in site.said:
            return None  # it is in: what is the same, or not, is told as of any card
    changed = changed_keys.read()
    if was in changed:
        hint = "print it anew there: l2wg rekey; or l2wg card, if it has no other key waiting"
        fail(f"that key was changed already, to {changed_keys.latest(was, changed)}", hint, key=WAS)
    site = next((site for site in net.lines.living() if was in site.keys), None)
    if site is None:
        hint = "look at that site: l2wg card. Is this its key until now?"
        fail(f"no site of this file has the key {was}", hint, path=path, key=WAS)
    if site.line == net.part.own.line:
        fail("that is this router's own key", "here: l2wg rekey", path=path, line=site.line, key=WAS)
    for word, one, two in (("name", other.name, site.name), ("address", other.addresses, site.card.addresses)):
        shown = [value if isinstance(value, str) else " ".join(value) for value in (one, two)]
        if one != two:
            message = f"that is the key of {site.name}, and this card has another {word}: {shown[0]}, not {shown[1]}"
            hint = f"a change of the key changes nothing else: at {site.name}, l2wg rekey prints the line"
            fail(message, hint, path=path, line=site.line, key=WAS)
    for taken in net.lines.sites:
        if other.key in taken.keys and taken.line != site.line:
            message = "the new key is that of line %d, %s" % (taken.line, taken.name)
            fail(message, "l2wg rekey --cancel there, then l2wg rekey", path=path, line=taken.line)
    return site


def replaced(other, values, site):
    """(the file as it is, as it will be): the card in the place of a Site's line, whose other words stay. Raises L2wgError."""
    known = membership.values_of(invite.split(site)[1].split())
    known.pop(WAS, None)
    # What stands here of its tunnels is right here; what it says of itself may be news.
    known.update({key: value for key, value in values.items() if key not in known})
    if WAS in values:
        known[WAS] = values[WAS]
    old = membership.text()
    new = site_edit.with_row(old, site.line, invitation.line(other, membership.words_of(known)))
    problems = store.load({store.SITES: new}).problems
    if problems:
        raise L2wgError(*problems)
    return old, new


def told(other, values, site):
    """Sentences on what that means."""
    if WAS not in values:
        return (f"{site.name} does not change its key: {site.key} is let in no more; {other.key} stays",)
    return (
        f"{site.name} changes its key: {values[WAS]} -> {other.key}",
        "both are let in until it comes with the new one; a minute after that the old one is out",
    )
