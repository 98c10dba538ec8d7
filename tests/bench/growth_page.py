"""docs/bench/growth.md and growth.json: how what is done grows with the number of tunnels. Each of two benches writes its part."""

import json
import statistics
from pathlib import Path
from typing import NamedTuple

TEXT = """\
# What many tunnels cost

Written by `make bench`, not by hand. A figure is the median of the rounds, then [least .. most] of them; a ratio is the median of the
ratios within each round, so that a machine that slows down slows both. No test asserts any of this: the unit tests *count* what is done for
100 and for 1,000 tunnels (tests/unit/test_many.py). What the datapath carries is on [a page of its own](README.md).
"""


class Row(NamedTuple):
    """What was measured, in which unit, its figures, one a round; beside what, with its figures; and the goal."""

    title: str
    unit: str
    figures: list
    base: str = ""
    beside: tuple = ()
    goal: str = ""


def summary(figures, unit="") -> str:
    middle, *ends = (f"{figure:.0f}" if figure >= 1000 else f"{figure:.3g}" for figure in (statistics.median(figures), min(figures), max(figures)))
    return " ".join(f"{middle} {unit}".split()) + ("" if len(figures) == 1 else " [{} .. {}]".format(*ends))


def line(row) -> str:
    beside = ratio = ""
    if row.base:
        beside = f"{row.base}: {summary(row.beside, row.unit)}"
        ratio = f"**{summary([figure / plain for figure, plain in zip(row.figures, row.beside)])}**"
    return f"| {row.title} | {summary(row.figures, row.unit)} | {beside} | {ratio} | {row.goal} |"


def part(title, said, rows) -> str:
    head = ["| what | figure | beside | ratio | goal |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"## {title}\n", said + "\n", *head, *(line(Row(*row)) for row in rows)]) + "\n"


def write(docs: Path, title: str, said: str, rows) -> None:
    """One part of the page; the other one stays as it is."""
    docs.mkdir(parents=True, exist_ok=True)
    file = docs / "growth.json"
    parts = json.loads(file.read_text()) if file.exists() else {}
    parts[title] = {"said": said, "rows": [list(row) for row in rows]}
    file.write_text(json.dumps(parts, indent=1) + "\n")
    (docs / "growth.md").write_text("\n".join([TEXT, *(part(title, **parts[title]) for title in sorted(parts))]))
