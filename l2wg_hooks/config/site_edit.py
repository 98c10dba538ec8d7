"""A line of /etc/l2wg/sites is changed, or comes behind the last one, and nothing else of that file changes. Pure."""

from l2wg_hooks.config import schema


def with_word(text, number, word):
    """The text with a word more at the end of a line, which is the `number`th, before its comment."""
    rows = text.split("\n")
    row = rows[number - 1]
    # A comment that is lined up with others stays where it is, if there is room.
    said, sign, comment = row.partition("#")
    bare = said.rstrip(schema.SPACE)
    room = said[len(bare) :]
    end = "\r" if room.endswith("\r") else ""
    if sign:
        end = " " * max(len(room) - len(word) - 1, 1) if not room.strip(" ") else room
    rows[number - 1] = f"{bare} {word}{end}{sign}{comment}"
    return "\n".join(rows)


def with_row(text, number, row):
    """The text with another row in the place of a line, which is the `number`th, before its comment."""
    rows = text.split("\n")
    said, sign, comment = rows[number - 1].partition("#")
    bare = said.rstrip(schema.SPACE)
    rows[number - 1] = row + said[len(bare) :] + sign + comment
    return "\n".join(rows)


def with_line(text, row):
    """The text with a line more behind the last one, which has an end."""
    return text + row + ("\r\n" if text.endswith("\r\n") else "\n")
