"""The jinja2 templates beside this file, for files that we write as a whole."""

import functools
import os

from l2wg_hooks.errors import fail


def render(name, **values):
    """The text of template `name`. Raises L2wgError where jinja2 is not installed."""
    try:
        import jinja2
    except ImportError:
        fail("python3-jinja2 is not installed", "apt install python3-jinja2")
    return _environment(jinja2).get_template(name).render(**values)


@functools.lru_cache(maxsize=None)
def _environment(jinja2):
    """One a process: it keeps the templates that it has compiled, which takes as long as ten commands."""
    # Not PackageLoader: that of jinja2 2.10 imports pkg_resources, half a second on an APU2.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
