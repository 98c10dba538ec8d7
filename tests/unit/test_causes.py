"""The table of causes: what it must be, and that nothing in it, or beside it, is left untold or untried."""

import ast
import pathlib
import re

import pytest
from conftest import TREE
from l2wg_hooks.check import catalog

TESTS = TREE / "tests"
PAGE = TREE / "docs/troubleshooting.md"


def test_ids_never_repeat_and_are_words_for_programs():
    assert len(catalog.BY_ID) == len(catalog.TABLE)
    assert all(re.match(r"[a-z]+(-[a-z]+)*\Z", cause.id) for cause in catalog.TABLE)


def test_every_cause_says_all_there_is_to_say():
    for cause in catalog.TABLE:
        assert cause.symptom in catalog.ORDER and cause.cause.endswith(".") and cause.cure.endswith("."), cause.id
    assert {cause.symptom for cause in catalog.TABLE} == set(catalog.ORDER)


@pytest.mark.skipif(not PAGE.exists(), reason="docs/troubleshooting.md is not beside the tests: an installed package")
def test_the_page_is_made_from_the_table():
    assert PAGE.read_text() == catalog.page(), "make docs"


def test_every_cause_has_a_test_that_provokes_it():
    """Named by a test of the judging function, or by the lab."""
    texts = [path.read_text() for path in TESTS.rglob("test_*.py") if path.name != "test_causes.py"]
    for cause in catalog.TABLE:
        assert any('"%s"' % cause.id in text for text in texts), "nothing tests %s" % cause.id


def test_no_id_is_told_that_the_table_lacks():
    package = pathlib.Path(catalog.__file__).parents[1]
    text = "".join(path.read_text() for path in package.rglob("*.py"))
    for cause in catalog.TABLE:
        assert text.count('"%s"' % cause.id) > 1, "but for its row, nobody tells of %s" % cause.id
    said = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                values = [word.value for word in node.keywords if word.arg == "id"]
                values += node.args[3:4] if getattr(node.func, "attr", "") == "problem" else []
                said.update(ast.literal_eval(value) for value in values if isinstance(value, ast.Constant if hasattr(ast, "unparse") else ast.Str))
    assert len(said) > 30 and said <= set(catalog.BY_ID)


def test_a_pipe_in_a_cell_does_not_end_it():
    row = next(line for line in catalog.page().split("\n") if "`postup-unsafe`" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 4
