"""How l2wg is called: the parser, its screen of help, and what is said of a command line that makes no sense."""

import argparse
import difflib

from l2wg_hooks import log
from l2wg_hooks.errors import Problem

# Exit code of a command line that makes no sense; argparse's, and that of most commands.
USAGE = 2
# Every command stands in one group, with an example of its use: (title, {command: example}). The order is that of the screen.
GROUPS = (
    (
        "The three that matter:",
        {"apply": "l2wg apply --confirm 60", "status": "l2wg status --watch", "check": "l2wg check"},
    ),
    (
        "A new tunnel:",
        {
            "init": "l2wg init",
            "card": "l2wg card",
            "pair": "l2wg pair CARD",
            "unpair": "l2wg unpair site-b",
            "set": "l2wg set gretap1 bridge=br0 bridge-ports=enp3s0",
            "attach": "l2wg attach wg0",
            "detach": "l2wg detach wg0",
        },
    ),
    (
        "A change, with care:",
        {"plan": "l2wg plan", "rehearse": "l2wg rehearse", "confirm": "l2wg confirm", "rollback": "l2wg rollback"},
    ),
    (
        "Called by hooks and timers:",
        {"up": "l2wg up --strict wg0", "down": "l2wg down wg0", "metrics": "l2wg metrics"},
    ),
)
EXAMPLES = {name: example for _, examples in GROUPS for name, example in examples.items()}

HEAD = "l2wg: Ethernet over WireGuard, as the files in /etc/l2wg wish for it"
FOOT = "Options and an example: l2wg COMMAND --help. More: man l2wg, man l2wg.conf"

# As `help` of an option that only our own units use: the screen and the shells' completion leave it out, l2wg(8) has it.
HIDDEN = argparse.SUPPRESS


def screen(helps):
    """The help as a whole, for a terminal of 80x24 with its prompt on the last line. `helps` is {command: one line}."""
    rows = [HEAD]
    for title, names in GROUPS:
        there = [name for name in names if name in helps]
        rows += [title] * bool(there) + ["  %-9s %s" % (name, helps[name]) for name in there]
    # Who adds a command and forgets its group sees it all the same.
    rows += ["  %-9s %s" % (name, line) for name, line in helps.items() if name not in EXAMPLES]
    return "\n".join(rows + [FOOT]) + "\n"


def refuse(message, hint):
    """End with USAGE: this command line makes no sense."""
    log.line("l2wg: %s" % Problem(message, hint))
    raise SystemExit(USAGE)


class Parser(argparse.ArgumentParser):
    """argparse's, with errors in the form of all our errors: what is wrong, and what helps."""

    def error(self, message):
        command = self.prog.partition(" ")[2]
        refuse("%s: %s" % (command, message) if command else message, "%s --help" % self.prog)


class Commands:
    """The parser of the whole command line; `add` makes the parser of one command, `help` being its line on the screen."""

    def __init__(self, version):
        self.parser = Parser(prog="l2wg")
        self.parser.format_help = self.screen
        self.parser.add_argument("--version", action="version", version="l2wg " + version)
        self._names = self.parser.add_subparsers(dest="command", metavar="COMMAND")
        self.helps = {}

    def add(self, name, help, **more):
        self.helps[name] = help
        example = "example: " + EXAMPLES[name] if name in EXAMPLES else None
        return self._names.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".", epilog=example, **more)

    def __getitem__(self, name):
        """The parser of one command."""
        return self._names.choices[name]

    def screen(self):
        return screen(self.helps)

    def parse(self, words):
        """The options of a command line. Exits with USAGE, and says what helps, where it makes no sense."""
        if words[:1] == ["help"]:
            words = words[1:] + ["--help"]
        first = next((word for word in words if not word.startswith("-")), None)
        if first is not None and first not in self.helps:
            near = difflib.get_close_matches(first, self.helps, 1)
            refuse("no such command: %s" % ascii(first), "do you mean `l2wg %s`?" % near[0] if near else "l2wg --help")
        options, rest = self.parser.parse_known_args(words)
        if rest:
            known = [word for action in self[first]._actions for word in action.option_strings] if first else []
            near = difflib.get_close_matches(rest[0].partition("=")[0], known, 1)
            hint = "do you mean %s?" % near[0] if near else "l2wg %s --help" % first if first else "l2wg --help"
            refuse("%s does not take %s" % (first or "l2wg", ascii(rest[0])), hint)
        return options
