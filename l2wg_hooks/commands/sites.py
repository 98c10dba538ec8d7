"""`l2wg sites`."""

from l2wg_hooks.commands import options as common
from l2wg_hooks.commands import usage
from l2wg_hooks.status import show, site_export

GROUP = usage.MATTERS
HELP = "show the net of /etc/l2wg/sites, a line a site (frr: BGP's)"
EXAMPLE = "l2wg sites"
READ_ONLY = True
FOR_ALL = True


def add_arguments(parser):
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs; l2wg(8) tells the schema")
    form.add_argument("--for", metavar="SITE", dest="site", help="that site's part, for another tool: see --as")
    said = "of --for: " + ", ".join(site_export.ALL)
    parser.add_argument("--as", metavar="FORM", dest="form", choices=site_export.FORMS, help=said)
    said = "of --for: that router's WireGuard interface (without: {}; {} with --wire own)".format(*site_export.UNDERLAYS.values())
    parser.add_argument("--underlay", metavar="NAME", type=common.interface, help=said)
    said = "of --for: own if l2wg makes that interface there, as `l2wg init` does (without: shared)"
    parser.add_argument("--wire", choices=tuple(site_export.UNDERLAYS), help=said)
    parser.add_argument("--file", metavar="FILE", help="another file than /etc/l2wg/sites, before it is copied there")


def run(options):
    if options.site is not None and options.form is None:
        usage.refuse("sites: --for says which site, and not as what", "add --as " + ", --as ".join(site_export.ALL))
    if options.site is None and (options.form or options.underlay or options.wire):
        word = "--as" if options.form else "--underlay" if options.underlay else "--wire"
        usage.refuse(f"sites: {word} is of a site that nobody has named", f"l2wg sites --for SITE --as {options.form or 'FORM'}")
    if options.site is not None:
        return show.export(options)
    return (), show.sites(options)
