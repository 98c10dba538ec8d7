"""What imports what in l2wg_hooks, read from the files: in a Python of its own it would need a process."""

import ast
import pathlib
from functools import lru_cache
from typing import Dict, NamedTuple, Set

import l2wg_hooks

TOP = pathlib.Path(l2wg_hooks.__file__).parent


class Imports(NamedTuple):
    """Of one module: those of ours as it starts (`ours`), and inside of functions (`later`); `outside` are all others as it starts."""

    ours: Set[str]
    later: Set[str]
    outside: Set[str]


@lru_cache(maxsize=None)
def read() -> Dict[str, Imports]:
    """{module, such as "plan.planner": its Imports}, in folders of any depth."""
    paths = {}
    for path in TOP.rglob("*.py"):
        parts = path.relative_to(TOP).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: _imports(ast.parse(path.read_text()), set(paths), str(path)) for name, path in paths.items() if name}


def _imports(tree, modules, path):
    within = {id(node) for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef) for node in ast.walk(outer)}
    ours, later, outside = set(), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
            assert not any(name.startswith("l2wg_hooks") for name in names), "%s:%d: from l2wg_hooks import ..." % (path, node.lineno)
            outside |= names if id(node) not in within else set()
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "%s:%d: a relative import" % (path, node.lineno)
            room, _, base = node.module.partition("l2wg_hooks")
            if room or (base and not base.startswith(".")):
                outside |= {node.module} if id(node) not in within else set()
                continue
            names = {(base[1:] + "." + alias.name).lstrip(".") for alias in node.names}
            # A name that is no module is one of the module that it is imported from.
            found = {name if name in modules else base[1:] for name in names} - {""}
            (later if id(node) in within else ours).update(found)
    return Imports(ours, later, outside)


def reached(*names):
    """(modules of ours, those of others) that are imported as these modules start, one by the other."""
    every, todo, ours, outside = read(), list(names), set(), set()
    while todo:
        name = todo.pop()
        if name not in ours:
            ours.add(name)
            outside |= every[name].outside
            todo += every[name].ours
            # Python starts the folders first.
            todo += [room for room in (name.rpartition(".")[0],) if room in every]
    return ours, outside


def kept() -> Dict[str, Set[str]]:
    """{path below /run or /var/lib: the modules that say it}, of each constant of a module that is one."""
    found: Dict[str, Set[str]] = {}
    for path in TOP.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign):
                for part in ast.walk(node.value):
                    # Python 3.7 has a node of its own for a string.
                    text = part.value if isinstance(part, ast.Constant) else getattr(part, "s", None)
                    if str(text).startswith(("/run/l2wg", "/var/lib/l2wg")):
                        found.setdefault(text, set()).add(str(path.relative_to(TOP)))
    return found
