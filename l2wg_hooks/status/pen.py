"""What a screen of text is written with: lines of at most WIDTH characters. Pure."""

from l2wg_hooks.status.status import NOTE, WRONG
from l2wg_hooks.status.terminal_text import WIDTH, paint, wrap

LABEL = 12
COLOURS = {WRONG: "red", NOTE: "yellow"}


class Pen:
    """Collects lines, of which a row is a label and text; `states` are words and their colours, each painted once."""

    def __init__(self, colour):
        self.colour, self.lines = colour, []

    def line(self, text, colour=""):
        for part in wrap(text, WIDTH):
            self.lines.append(paint(part, colour, self.colour) if colour else part)

    def row(self, label, text, colour="", **states):
        for number, part in enumerate(wrap(text, WIDTH - LABEL - 2)):
            if colour:
                part = paint(part, colour, self.colour)
            for word, tint in states.items():
                words = part.split(" ")
                part = " ".join(paint(piece, tint, self.colour) if piece.rstrip(",") == word else piece for piece in words)
            if not number and len(label) >= LABEL:
                self.lines.append("  " + label)
                label = ""
            self.lines.append("  %-*s%s" % (LABEL, "" if number else label, part))

    def faults(self, faults):
        for fault in faults:
            where = "%s:%d: " % (fault.path, fault.line) if fault.line else f"{fault.path}: " if fault.path else ""
            where += f"{fault.key}: " if fault.key else ""
            self.row("WRONG" if fault.level == WRONG else "note", where + fault.message, COLOURS[fault.level])
            if fault.hint:
                self.row("", f"({fault.hint})", COLOURS[fault.level])
