"""What one event, or one command, has done: a line for people, fields for programs."""

import os

from l2wg_hooks import errors
from l2wg_hooks.config import store
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import NAMESPACE, Step
from l2wg_hooks.plan import commands, planner
from l2wg_hooks.system import log

# Names that a line has room for before it says how many more there are, and an entry before it leaves the rest out.
NAMED, LISTED = 3, 100
# Groups of the plan that are no interface, as people call them.
SUBJECTS = {planner.GUARD: "nftables rules", "ways": "policy routes", commands.OF_NAMESPACE: "network namespace " + NAMESPACE}
# What `ip link set dev X` is told next, in words. What is not here is told by its reason.
WORDS = {"master": "port of %s", "mtu": "MTU %s", "address": "Ethernet address %s", "down": "down"}


class EventSummary(log.Summary):
    """`label` is the event in words."""

    def __init__(self, event="", label="l2wg"):
        super().__init__(event)
        self.label = label
        self._lines = None

    def again(self):
        return EventSummary(self.event, self.label)

    def entry(self):
        # Most events have nothing to tell, and need to know nothing for that.
        sites = _sites() if self.told else {}
        text = self.text(sites)
        return text, tuple(self.fields(_tunnels(), sites)) if text else ()

    def fields_of(self, problem):
        if problem.path:
            yield "L2WG_FILE", "%s:%d" % (problem.path, problem.line) if problem.line else problem.path
            folder, name = os.path.split(problem.path)
            tunnel = problem.tunnel or name.rpartition(".")[0]
            if folder == store.DIRECTORY and tunnel:
                yield "L2WG_TUNNEL", tunnel
            if problem.path == store.path(store.SITES):
                self._lines = _lines() if self._lines is None else self._lines
                if problem.line in self._lines:
                    yield "L2WG_SITE", self._lines[problem.line]
        yield from super().fields_of(problem)

    def text(self, sites=()):
        """The line, or "" where nothing was done. `sites` is {tunnel: name of the other site}, where that has one."""
        sites = {tunnel: site for tunnel, site in dict(sites).items() if site != tunnel}
        parts, steps = [], []
        for told in self.told + [""]:
            if isinstance(told, Step):
                steps.append(told)
                continue
            parts += _done(steps, sites) + [told] * bool(told)
            steps = []
        parts += _short([wait._replace(subject=_called(wait.subject, sites)) for wait in self.waiting])
        return "{}: {}".format(self.label, "; ".join(parts)) if parts else ""

    def fields(self, tunnels, sites=()):
        """What programs ask for, as pairs; `tunnels` are the names that are wished for, `sites` as for text()."""
        sites, tunnels = dict(sites), set(tunnels)
        steps = [step for step in self.told if isinstance(step, Step)]
        names = {
            step.group for step in steps if step.group in tunnels or commands.bare(step.argv)[:3] == ("ip", "link", "delete")
        }
        names |= {wait.subject for wait in self.waiting} & tunnels
        yield "L2WG_EVENT", self.event
        for name in sorted(names)[:LISTED]:
            yield "L2WG_TUNNEL", name
            if name in sites:
                yield "L2WG_SITE", sites[name]
        if steps:
            yield "L2WG_COMMANDS", "\n".join(str(step) for step in steps)
            yield "L2WG_REASONS", "\n".join(step.reason for step in steps)
        if self.waiting:
            yield "L2WG_WAITING", "\n".join(str(wait) for wait in self.waiting)
        yield from self.more


def subject(group):
    """A group of the plan, as people call it."""
    return SUBJECTS.get(group, group)


def _sites():
    """{tunnel: name of its other site}, of those whose files have one."""
    try:
        return {tunnel.name: tunnel.site for tunnel in store.load().tunnels if tunnel.site}
    except L2wgError:
        return {}


def _lines():
    """{number of a line: name of the site that it is of}, of the file of sites."""
    from l2wg_hooks.config import site_lines  # where something is wrong in such a file only

    try:
        lines = site_lines.parse(store.read(store.SITES), store.path(store.SITES))
    except L2wgError:
        return {}
    return {site.line: site.name for site in lines.sites + lines.faulty}


def _called(name, sites):
    return f"{name} ({sites[name]})" if name in sites else name


def _tunnels():
    try:
        names = store.sources()
        return [tunnel.name for tunnel in store.load().tunnels] + names if store.SITES in names else names
    except L2wgError:
        return []


def _done(steps, sites):
    """Steps in words: what became of each interface, once, those together that fared alike."""
    made = {step.group for step in steps if _adds(step) and "bridge" not in commands.bare(step.argv)[5:]}
    found = {}
    for step in steps:
        subject, words = _word(step, step.group in made)
        if words:
            found.setdefault(subject, {})[words] = None
    alike = {}
    for subject, words in found.items():
        alike.setdefault(", ".join(words), []).append(_called(subject, sites))
    return [f"{errors.listed(subjects, NAMED)}: {words}" for words, subjects in alike.items() if words]


def _adds(step):
    return commands.bare(step.argv)[:3] == ("ip", "link", "add")


def _word(step, made):
    """(whom it is about, what was done or ""): `made` is whether all of its group comes of making the tunnel."""
    argv, group = commands.bare(step.argv), subject(step.group)
    if _adds(step):
        return group, "made"
    if argv[:3] == ("ip", "link", "delete"):
        return argv[4], f"deleted ({step.reason})"
    if argv[0] == "nft":
        return group, "gone" if step.reason == planner.LAST_GOES else f"loaded ({step.reason})"
    if argv[:4] == ("ip", "link", "set", "dev"):
        own, word = argv[4] == step.group, argv[5]
        if word == "up":
            return argv[4], "up"
        if word == "master":
            return argv[4], WORDS[word] % argv[6]
        if word == "netns":
            return argv[4], ""
        if made and (not own or word != "down"):
            return group, ""
        words = WORDS.get(word)
        return argv[4], "{} ({})".format(words % argv[6] if "%" in words else words, step.reason) if words else step.reason
    return (argv[3], "let go by NetworkManager") if argv[0] == "nmcli" else (group, "" if made else step.reason)


def _short(waits):
    """The first few, and how many there are beside."""
    more = ["and %d more wait" % (len(waits) - NAMED)] if len(waits) > NAMED else []
    return [str(wait) for wait in waits[:NAMED]] + more
