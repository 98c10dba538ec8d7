"""Hostile input for every parser. As for the unit tests: no process may run, and nothing reaches the journal.

CASES says how many examples hypothesis makes for each property. The same ones come every time, so a failure is never a
matter of luck; a longer run finds more, and what it finds becomes a file of tests/golden/hostile.
"""

import importlib.util
import os
import pathlib
import sys

import cases
import pytest
from hypothesis import HealthCheck, settings

HERE = pathlib.Path(__file__).resolve().parent


def _unit_tests():
    spec = importlib.util.spec_from_file_location("unit_conftest", str(HERE.parent / "unit" / "conftest.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.append(str(HERE.parent / "unit"))
_unit = _unit_tests()
no_process, golden = _unit.no_process, _unit.golden


@pytest.fixture(autouse=True, scope="module")
def root(tmp_path_factory):
    """A folder that the code takes for /, one for all tests of a file: hypothesis runs each many times."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "run").mkdir()
    patch = pytest.MonkeyPatch()
    _unit.roots.move(patch, folder)
    yield folder
    patch.undo()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """What is written here need not outlive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


CASES = int(os.environ.get("CASES") or 100)
settings.register_profile(
    "l2wg",
    max_examples=CASES,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.load_profile("l2wg")


def pytest_collection_modifyitems(items):
    """Count each call of the function that hypothesis calls, and every fixed case as one."""
    for item in items:
        name = item.nodeid.partition("[")[0].rpartition("/")[2]
        if hasattr(item.obj, "hypothesis"):
            if not hasattr(item.obj.hypothesis.inner_test, "__wrapped__"):  # one for all parameters
                item.obj.hypothesis.inner_test = cases.counts(name, item.obj.hypothesis.inner_test)
        else:
            item.obj = cases.counts(name, item.obj)


def pytest_terminal_summary(terminalreporter):
    """How many cases were run: of each test, and of all."""
    terminalreporter.section("cases run")
    for name in sorted(cases.counted):
        terminalreporter.line("%8d %s" % (cases.counted[name], name))
    terminalreporter.line("%8d in all (CASES=%d for each property)" % (sum(cases.counted.values()), CASES))
