"""l2wg_hooks.typed.NamedTuple does what that of typing(3py) does."""

import copy
import pickle
import typing

import pytest
from l2wg_hooks import typed


def made(base):
    class Row(base):
        """A row."""

        name: str
        size: int = 3
        more: tuple = ()

        @property
        def twice(self):
            return 2 * self.size

        def __str__(self):
            return self.name

    return Row


Row, Usual = made(typed.NamedTuple), made(typing.NamedTuple)
for kind in (Row, Usual):
    kind.__qualname__ = kind.__name__


def outcome(work):
    try:
        return work()
    except (ValueError, TypeError):  # Python 3.13 has changed its mind which one it is
        return ValueError
    except AttributeError as error:
        return type(error)


@pytest.mark.parametrize("work", [
    lambda kind: tuple(kind("a")),
    lambda kind: kind("a", size=5).twice,
    lambda kind: str(kind("a")) + repr(kind("a", 1)),
    lambda kind: (kind("a"), kind.__name__, kind.__doc__, kind._fields, kind._field_defaults, kind.__module__),
    lambda kind: tuple(kind("a")._replace(name="b", more=(1,))),
    lambda kind: tuple(kind._make(["a", 1, ()])),
    lambda kind: kind("a")._asdict(),
    lambda kind: kind("a") == ("a", 3, ()) and hash(kind("a")) == hash(("a", 3, ())) and kind("a") < kind("b"),
    lambda kind: tuple(copy.copy(kind("a"))) + tuple(copy.deepcopy(kind("a"))),
    lambda kind: list(kind("a")) + [kind("a")[1], kind("a")[-1]],
    lambda kind: isinstance(kind("a"), tuple) and isinstance(kind("a"), kind),
    lambda kind: kind(),
    lambda kind: kind("a", 1, (), 4),
    lambda kind: kind("a", nosuch=1),
    lambda kind: kind("a")._replace(nosuch=1),
    lambda kind: kind._make(["a"]),
    lambda kind: setattr(kind("a"), "name", "b"),
    lambda kind: setattr(kind("a"), "nosuch", "b"),
])  # fmt: skip
def test_it_is_the_same(work):
    assert outcome(lambda: work(made(typed.NamedTuple))) == outcome(lambda: work(made(typing.NamedTuple)))
    assert outcome(lambda: work(Row)) == outcome(lambda: work(Usual))


def test_it_comes_back_from_pickle():
    assert type(pickle.loads(pickle.dumps(Row("a")))) is Row


def test_a_field_without_a_default_behind_one_is_refused():
    with pytest.raises(TypeError):

        class _(typed.NamedTuple):
            size: int = 3
            name: str


def test_the_names_are_those_of_typing():
    assert all(hasattr(typing, name) and hasattr(typed, name) for name in typed.__all__)
