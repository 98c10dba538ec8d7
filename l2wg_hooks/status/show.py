"""`l2wg status` and `l2wg sites`: look, and print it in the form that was asked for."""

import os
import shutil
import signal
import sys
import time

from l2wg_hooks.config import site_faults, site_file, site_lines, site_tunnels, store
from l2wg_hooks.errors import fail
from l2wg_hooks.status import status, survey, terminal_text
from l2wg_hooks.system import files, terminal

NO_SITES = "there is no such file, so no net of many sites is written down here"


def show(options):
    """Print; exit code 0, or 1 if something is wrong. Raises L2wgError where nothing can be looked at."""
    if options.watch:
        return _watch(options)
    seen = survey.look()
    found = status.build(seen)
    names = _known(found, options.tunnels)
    _whole(_print, found, options, names, seen.wished)
    return _code(found, names)


def sites(options):
    """Print the net; exit code as of `show`. Others than root see what the file says. Raises L2wgError where there is none."""
    from l2wg_hooks.status import sites as net_sites

    path = _net_path(options)
    if options.file:
        table = net_sites.build(_net_alone(path), path)._replace(draft=True)
    elif os.geteuid() == 0:
        seen = survey.look()
        table = _table(status.build(seen), seen.wished)
    else:
        table = net_sites.build(_net_alone(path), path)
    _whole(_print_sites, table, options)
    return 1 if table.wrong else 0


def _whole(work, *arguments):
    """Call `work`, which prints, and have all of it out, as far as anybody reads it."""
    try:
        work(*arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        sys.stdout = None


def export(options):
    """Print a site's part of the net for another tool; (Problems that tell what is not in it, exit code). Raises L2wgError."""
    from l2wg_hooks.status import site_export

    path = _net_path(options)
    lines = _net_alone(path).lines
    found = site_export.export(lines, options.site, options.form, options.underlay, path, options.wire or site_export.SHARED)
    terminal.out(found.text)
    return found.notes, 0


def _net_path(options):
    """The file of sites that is meant. Raises L2wgError where there is none."""
    if not options.file and store.SITES not in store.sources():
        hint = "`l2wg status` shows this router's tunnels; to write one: l2wg-sites(5)"
        fail(NO_SITES, hint, path=site_file.path())
    return options.file or site_file.path()


def _net_alone(path):
    """The Net of the file alone: which of its sites this router is, its private key tells, which is root's."""
    lines = site_faults.between(site_lines.parse(files.read(path, files.LARGEST), path), path)
    return site_file.Net(lines, site_tunnels.Part(), None, site_tunnels.ByHand())


def _print_sites(table, options):
    if options.json:
        import json

        from l2wg_hooks.status import render_sites_json

        json.dump(render_sites_json.document(table, os.uname().nodename, time.time()), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    from l2wg_hooks.status import render_sites

    sys.stdout.write(render_sites.render(table, terminal_text.wants_colour(sys.stdout)))


def _known(found, names):
    """The tunnels that these names mean: their own, or those of the sites that they lead to.

    Raises L2wgError for one that nobody has written down.
    """
    known = [tunnel.name for tunnel in found.tunnels]
    meant = set()
    for name in names:
        these = [tunnel.name for tunnel in found.tunnels if name == tunnel.wish.site] if name not in known else [name]
        meant.update(these)
        if not these:
            said = "there is {}".format(", ".join(known[:8])) if known else "there is none in /etc/l2wg"
            if any(fault.path.endswith(f"/{name}.conf") for fault in found.faults):
                said = "its file has mistakes: l2wg status"
            fail(f"{name!a} is not a tunnel", said)
    return meant


def _print(found, options, names, wished):
    if options.json:
        import json

        from l2wg_hooks.status import render_json

        # Piece by piece: in one text, a thousand tunnels take half as much memory again.
        json.dump(render_json.document(found), sys.stdout, indent=2)
        text = "\n"
    elif options.diagram:
        from l2wg_hooks.status import render_diagram

        text = render_diagram.render(found, terminal_text.wants_lines(), _table(found, wished))
    elif options.svg:
        from l2wg_hooks.status import render_svg
        from l2wg_hooks.system import outlet

        text = render_svg.render(found, _table(found, wished))
        if options.svg != "-":
            outlet.write(options.svg, text)
            return
    else:
        from l2wg_hooks.status import render_text

        text = render_text.render(found, terminal_text.wants_colour(sys.stdout), names=names)
    sys.stdout.write(text)


def _table(found, wished):
    """The sites.Table, where there is a file of sites: what is behind the hub, no tunnel tells."""
    if wished.net is None:
        return None
    from l2wg_hooks.status import sites as net_sites

    return net_sites.build(wished.net, site_file.path(), found, wished.problems)


def _code(found, names):
    """Of the tunnels that were asked for, if some were."""
    if not names:
        return 1 if found.wrong else 0
    return 0 if all(found.well(tunnel) for tunnel in found.tunnels if tunnel.name in names) else 1


def _watch(options):
    look = _screens(options) if sys.stdout.isatty() else _pages(options)
    found = None
    try:
        for found, text in look:
            sys.stdout.write(text)
            sys.stdout.flush()
    except KeyboardInterrupt:
        # A second one, while Python ends, would be a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except BrokenPipeError:
        sys.stdout = None
    return _code(found, _known(found, options.tunnels)) if found else 0


def _pages(options):
    """Yield (Status, its screen) again and again, one below the other: nobody knows how much fits where it goes."""
    from l2wg_hooks.status import render_text

    before = None
    while True:
        found = status.build(survey.look())
        names = _known(found, options.tunnels)
        yield found, render_text.render(found, terminal_text.wants_colour(sys.stdout), before, names) + "\n"
        before = found
        time.sleep(options.watch)


def _screens(options):
    """Yield (Status, what to write for it to be all that is on the terminal). While it waits, the peers are asked."""
    from l2wg_hooks.status import round_trips, watch

    before, flows, times, number = None, {}, {}, 0
    colour, drawn = terminal_text.wants_colour(sys.stdout), terminal_text.wants_lines()
    while True:
        found = status.build(survey.look())
        names = _known(found, options.tunnels)
        flows = watch.rates(flows, before, found)
        text = watch.render(found, flows, times, shutil.get_terminal_size(), colour, drawn, names)
        # Home, each line cleared behind its end, then what is left below: no flicker (ECMA-48, 8.3.21, 8.3.41, 8.3.39).
        # No line feed behind the last line, which would scroll.
        yield found, ("" if before else "\x1b[2J") + "\x1b[H" + text.replace("\n", "\x1b[K\n") + "\x1b[K\x1b[J"
        before, number = found, number % 0xFFFF + 1
        wishes = [tunnel.wish for tunnel in found.tunnels if not names or tunnel.name in names]
        times = round_trips.measure(wishes, number, options.watch)
