"""/etc/l2wg/sites as it is: its text, and what of it is this router's part."""

from l2wg_hooks.config import (
    changed_keys,
    own_sites,
    schema,
    site_faults,
    site_keys,
    site_lines,
    site_tunnels,
    store,
    tunnel_file,
)
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.typed import NamedTuple, Optional, Set, Tuple


class Net(NamedTuple):
    """What the file comes to here: `wire` is where this router's own site is, None where nobody can tell; then `part` is empty.

    `by_hand` is what wins over it. `rows` are what site_record.py is to keep.
    """

    lines: site_lines.Lines
    part: site_tunnels.Part
    wire: Optional[site_tunnels.Wire]
    by_hand: site_tunnels.ByHand
    rows: Tuple[str, ...] = ()

    @property
    def problems(self):
        """All that is wrong, by its lines; of many the first ones."""
        found = sorted(self.lines.problems + self.part.problems, key=lambda problem: problem.line)
        return store.first(tuple(found), store.SITES)

    @property
    def known(self):
        """Whether it says what this router's tunnels are, but for those of lines with faults."""
        return self.part.own is not None and self.lines.net is not None


def path():
    """The file."""
    return store.path(store.SITES)


def net(text, tunnels, others):
    """The Net of a text: `tunnels` are those that have files of their own, `others` {name: text} of files that are no use."""
    lines = site_faults.between(site_lines.parse(text, path()), path())
    lines = site_keys.settled(lines, changed_keys.read(), path())
    wires = own_sites.wires(tunnels, {key for site in lines.sites + lines.faulty for key in site.keys})
    wires = site_keys.found_by(lines, wires)
    by_hand = hand(tunnels, others)
    part = site_tunnels.find(lines, wires, by_hand, path())
    part = part._replace(tunnels=listening(part.tunnels))
    return Net(lines, part, wires[part.own.key] if part.own else None, by_hand)


def listening(tunnels):
    """The Tunnels, where the one to two hubs, if there is one, listens to the one that was chosen last."""
    if not any(tunnel.has_hubs for tunnel in tunnels):
        return tunnels
    from l2wg_hooks.config import hub_choice, site_hubs  # where there are two hubs only

    return site_hubs.chosen(tunnels, changed_keys.latest(hub_choice.read(), changed_keys.read()))


def unread(error, tunnels, others):
    """The Net of a file that cannot be read."""
    return Net(site_lines.Lines(problems=error.problems), site_tunnels.Part(), None, hand(tunnels, others))


def hand(tunnels, others):
    """The ByHand of tunnels with files of their own, and of files that are no use: a far end may still be told by one."""
    ends: Set[str] = {end.remote for tunnel in tunnels for end in tunnel.ends()}
    for text in others.values():
        ends.update(_remotes(text))
    names = frozenset(tunnel.name for tunnel in tunnels) | frozenset(others)
    return site_tunnels.ByHand(tuple(tunnels), names, frozenset(ends))


def _remotes(text):
    for line in tunnel_file.lines_of(text):
        try:
            found = tunnel_file.split(line)
            if found is not None and found[0] == "remote":
                known = schema.KEYS["remote"].parse(found[1])
                yield from known if isinstance(known, tuple) else () if "/" in known else (known,)
        except schema.Refused:
            continue


def load(text, tunnels, others):
    """The Net of now, or of another `text` that stands for the file's."""
    try:
        return net(store.read(store.SITES) if text is None else text, tunnels, others)
    except L2wgError as error:
        return unread(error, tunnels, others)
