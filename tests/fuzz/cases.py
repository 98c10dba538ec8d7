"""How many inputs each test has been run on."""

import functools

# {test: inputs}
counted = {}


def counts(name, test):
    """The test, each call of which is a case."""

    @functools.wraps(test)
    def counting(*args, **kwargs):
        count(name)
        return test(*args, **kwargs)

    return counting


def count(name):
    """One more case of a test that goes through many by itself."""
    counted[name] = counted.get(name, 0) + 1


def counted_inside(test, name):
    """The property `test` that is made within a test, counted under that test's name rather than as one case."""
    counted[name] = counted.get(name, 0) - 1
    test.hypothesis.inner_test = counts(name, test.hypothesis.inner_test)
    return test
