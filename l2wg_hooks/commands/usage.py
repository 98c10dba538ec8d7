"""How l2wg is called: the parser, its screen of help, and what is said of a command line that makes no sense."""

import argparse
import difflib

from l2wg_hooks.errors import Problem
from l2wg_hooks.system import log

# Exit code of a command line that makes no sense; argparse's, and that of most commands.
USAGE = 2
# The groups of the screen, in its order: every command's module names one of them as its GROUP.
MATTERS = "l2wg: Ethernet over WireGuard, as /etc/l2wg wishes for it. First of all:"
NEW = "A new tunnel:"
CAREFUL = "A change, with care:"
CALLED = "Underneath, for hooks and timers:"
GROUPS = (MATTERS, NEW, CAREFUL, CALLED)
# Of a command that another one's line names.
UNLISTED = ""

FOOT = "Options and an example: l2wg COMMAND --help. More: man l2wg, man l2wg.conf"

# As `help` of an option that only our own units use: the screen and the shells' completion leave it out, l2wg(8) has it.
HIDDEN = argparse.SUPPRESS


def screen(commands):
    """The help as a whole, for a terminal of 80x24 with its prompt on the last line. `commands` is {name: its module}."""
    rows = []
    for title in GROUPS:
        rows.append(title)
        rows += ["  %-9s %s" % (name, command.HELP) for name, command in commands.items() if command.GROUP == title]
    # Who adds a command and forgets its group sees it all the same.
    rows += ["  %-9s %s" % (name, command.HELP) for name, command in commands.items() if command.GROUP not in (*GROUPS, UNLISTED)]
    return "\n".join(rows + [FOOT]) + "\n"


def refuse(message, hint):
    """End with USAGE: this command line makes no sense."""
    log.line(f"l2wg: {Problem(message, hint)}")
    raise SystemExit(USAGE)


class Parser(argparse.ArgumentParser):
    """argparse's, with errors in the form of all our errors: what is wrong, and what helps."""

    def error(self, message):
        command = self.prog.partition(" ")[2]
        refuse(f"{command}: {message}" if command else message, f"{self.prog} --help")


def _gathered(parser, options, rest):
    """What is left of the words of a command line when those that belong to its last, open list are in it.

    argparse fills such a list by the words before the next option, even by none, and takes no more behind that.
    """
    last = [action for action in parser._actions if not action.option_strings][-1:]
    if not last or last[0].nargs not in ("*", "+") or any(word.startswith("-") for word in rest):
        return rest
    setattr(options, last[0].dest, (getattr(options, last[0].dest) or []) + rest)
    return []


class Commands:
    """The parser of the whole command line. `commands` is {name: its module}, in the order of the screen."""

    def __init__(self, version, commands):
        self.commands = commands
        self.parser = Parser(prog="l2wg")
        self.parser.format_help = self.screen
        self.parser.add_argument("--version", action="version", version="l2wg " + version)
        self._names = self.parser.add_subparsers(dest="command", metavar="COMMAND")
        for name, command in commands.items():
            said = command.HELP[0].upper() + command.HELP[1:] + "."
            command.add_arguments(
                self._names.add_parser(name, help=command.HELP, description=said, epilog="example: " + command.EXAMPLE)
            )

    def __getitem__(self, name):
        """The parser of one command."""
        return self._names.choices[name]

    def screen(self):
        return screen(self.commands)

    def parse(self, words):
        """The options of a command line. Exits with USAGE, and says what helps, where it makes no sense."""
        if words[:1] == ["help"]:
            words = words[1:] + ["--help"]
        first = next((word for word in words if not word.startswith("-")), None)
        if first is not None and first not in self.commands:
            near = difflib.get_close_matches(first, self.commands, 1)
            refuse(f"no such command: {first!a}", f"do you mean `l2wg {near[0]}`?" if near else "l2wg --help")
        options, rest = self.parser.parse_known_args(words)
        if rest and first is not None:
            rest = _gathered(self[first], options, rest)
        if rest:
            known = [word for action in self[first]._actions for word in action.option_strings] if first else []
            near = difflib.get_close_matches(rest[0].partition("=")[0], known, 1)
            hint = f"do you mean {near[0]}?" if near else f"l2wg {first} --help" if first else "l2wg --help"
            refuse("{} does not take {}".format(first or "l2wg", ascii(rest[0])), hint)
        return options
