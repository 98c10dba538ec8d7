"""The paths that the code knows, all moved below one folder: what a test has not put there is not there."""

import importlib
import pkgutil
from functools import lru_cache

import l2wg_hooks

# Where this machine's own files are, and the kernel's.
TOPS = ("/dev", "/etc", "/lib", "/proc", "/run", "/sys", "/usr/lib/udev", "/usr/share", "/var")
# The descriptors of the process that runs the test are what is meant there.
OWN = {("l2wg_hooks.system.outlet", "DESCRIPTORS")}


@lru_cache(maxsize=None)
def constants():
    """[(module, name, path or paths)] of every constant that is a path below one of TOPS, or the root of such paths."""
    found = []
    for info in pkgutil.walk_packages(l2wg_hooks.__path__, "l2wg_hooks."):
        module = importlib.import_module(info.name)
        for name, value in sorted(vars(module).items()):
            paths = value if type(value) is tuple else (value,)
            if (info.name, name) not in OWN and paths and all(type(path) is str and _is_known(path) for path in paths):
                found.append((module, name, value))
    return found


def _is_known(path):
    return path == "/" or (path + "/").startswith(tuple(top + "/" for top in TOPS))


def move(patch, root):
    """Set all of them below the folder `root`, by a MonkeyPatch."""
    for module, name, value in constants():
        patch.setattr(module, name, below(root, value))


def below(root, value):
    """The same path or paths, below the folder `root`."""
    return tuple(below(root, path) for path in value) if type(value) is tuple else str(root) + value.rstrip("/")
