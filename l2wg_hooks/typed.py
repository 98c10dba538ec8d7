"""What the modules of an event take of typing(3py), whose start is a tenth of one: names for mypy, and NamedTuple."""

import sys

TYPE_CHECKING = False  # mypy takes this name for true

# Python 3.7 has not what it takes; later ones keep annotations elsewhere.
if TYPE_CHECKING or not (3, 8) <= sys.version_info < (3, 14):
    from typing import Any, Callable, Dict, FrozenSet, List, Mapping, MutableMapping, NamedTuple, Optional, Set, Tuple, Union
else:
    # A field, as collections.namedtuple makes it.
    from _collections import _tuplegetter

    class _Name:
        """Dict[str, int] and the like, which nobody but mypy reads."""

        @classmethod
        def __class_getitem__(cls, _):
            return cls

    Any = Callable = Dict = FrozenSet = List = Mapping = MutableMapping = Optional = Set = Tuple = Union = _Name

    class _Methods:
        """What collections.namedtuple has, too."""

        @classmethod
        def _make(cls, values):
            found = tuple.__new__(cls, values)
            if len(found) != len(cls._fields):
                raise TypeError("expected %d arguments, got %d" % (len(cls._fields), len(found)))
            return found

        def _replace(self, **changes):
            found = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"got unexpected field names: {list(changes)}")
            return found

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __repr__(self):
            return "{}({})".format(type(self).__name__, ", ".join(f"{key}={value!r}" for key, value in zip(self._fields, self)))

        def __getnewargs__(self):
            return tuple(self)

    _METHODS = {key: value for key, value in vars(_Methods).items() if callable(value) or isinstance(value, classmethod)}

    class _Meta(type):
        def __new__(mcs, name, bases, body):
            if not bases:
                return super().__new__(mcs, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            if fields[len(fields) - len(defaults) :] != tuple(defaults):
                raise TypeError(f"{name}: a field without a default follows one that has one")
            body = {**_METHODS, **body, "__slots__": (), "_fields": fields, "_field_defaults": defaults}
            body.update((field, _tuplegetter(index, None)) for index, field in enumerate(fields))

            def first(cls, *values, **named):
                # To compile this takes longer than all the rest, and an event has use for half of them.
                words = ", ".join(fields)
                new = eval(f"lambda _cls, {words}: _new(_cls, ({words},))", {"_new": tuple.__new__})
                new.__name__, new.__defaults__ = "__new__", tuple(defaults.values())
                made.__new__ = staticmethod(new)
                return new(cls, *values, **named)

            body["__new__"] = first
            made = type(name, (tuple,), body)
            return made

    class NamedTuple(metaclass=_Meta):
        """A class of this base is a tuple with the names of its annotations, and their defaults."""


__all__ = (
    "Any Callable Dict FrozenSet List Mapping MutableMapping NamedTuple Optional Set Tuple Union".split()
)  # fmt: skip
