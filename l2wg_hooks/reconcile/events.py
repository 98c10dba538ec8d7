"""Events: PostUp and PostDown of wg-quick, ifupdown's hooks. They carry no logic: each asks for the same plan.

Towards wg-quick and ifup an event never fails: a failing PostUp makes wg-quick delete wg0, a failing hook makes ifup
fail, and either can cut off an admin who is logged in through it. Errors are printed and go to the journal.
Nothing here imports jinja2, argparse or anything else that a hook can do without.
"""

from l2wg_hooks import model
from l2wg_hooks.config import store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.observe import link_table
from l2wg_hooks.reconcile import event_summary, kept_by_hooks, reconcile
from l2wg_hooks.system import log

# The unit that calls `l2wg event up boot`, and the link by which systemd starts it.
UNIT = "l2wg.service"
ENABLED = "/etc/systemd/system/multi-user.target.wants/" + UNIT


def up(name):
    """wg-quick has brought up the WireGuard interface `name`."""
    return reconcile.reconcile(may_skip=True)


def down(name):
    """wg-quick has taken down the WireGuard interface `name`, or somebody wants its tunnels gone until it comes back.

    By the path of the file of sites, its tunnels are meant, and no others: no interface has such a name.
    """
    if name != store.path(store.SITES):
        return reconcile.reconcile(leaving=(name,))
    these = tuple(tunnel.name for tunnel in reconcile.steady(store.load()).tunnels if tunnel.path == name)
    # Without any, what stands of a file that is there no more goes, and nothing that was taken down comes back.
    return reconcile.reconcile(leaving=these, spares=not these)


def _all_down(_):
    return reconcile.remove_all()


def _dhcpcd_begins(interface):
    """dhcpcd waits for us. It has nothing to do with a tunnel, nor with a port of ours by whose address nobody is logged in."""
    from l2wg_hooks.managers import dhcpcd

    link, tunnels = link_table.read().get(interface), store.load().tunnels
    if link is None:
        return ()
    is_tunnel = interface in (*store.names(), *(tunnel.name for tunnel in tunnels)) and link.kind in model.TUNNEL_KINDS
    is_port = any(interface in tunnel.bridge_ports and link.master == tunnel.bridge for tunnel in tunnels)
    problems = tuple(dhcpcd.mute(interface, link.mac)) if is_tunnel else ()
    if is_tunnel or (is_port and not link.addresses):
        dhcpcd.release(interface)
    return problems


def _device(name):
    from l2wg_hooks.reconcile import device  # sockets: no hook has a use for them

    return device.follow(name)


def _manager(_):
    """A manager of interfaces has started: it may have told WireGuard of its peers anew, and the interface stays as it is."""
    from l2wg_hooks.reconcile import device

    return device.once()


def _watch(_):
    from l2wg_hooks.reconcile import watch  # the timer's only

    return watch.look()


def _hubs(key):
    from l2wg_hooks.reconcile import hub_watch  # where there are two hubs only

    return hub_watch.move(key)


# By all words, or those before the name: what is done, a function of the last one, and what has happened. Who calls is in etc/.
EVENTS = {
    ("up",): (up, "{} is up"),
    ("down",): (down, "{} goes down"),
    ("event", "up"): (up, "{} is up (ifupdown)"),
    ("event", "down"): (down, "{} goes down (ifupdown)"),
    ("event", "dhcpcd"): (_dhcpcd_begins, "dhcpcd begins with {}"),
    ("event", "device"): (_device, "{} has come or gone (udev)"),
    ("event", "manager"): (_manager, "{} has started"),
    ("event", "up", "boot"): (up, "the router has started"),
    ("event", "up", "nftables"): (up, "nftables was loaded anew"),
    ("event", "watch"): (_watch, "the watch"),
    ("event", "hubs"): (_hubs, "the watch of the hubs"),
    ("down", "--all"): (_all_down, "all tunnels are to go"),
}


def find(words):
    """(what is done, what has happened) of words such as ["event", "up", "br0"]."""
    return EVENTS.get(tuple(words)) or EVENTS.get(tuple(words[:-1]), EVENTS["event", "up"])


def label(words):
    """What has happened, for people."""
    return find(words)[1].format(words[-1].partition(":")[0])


def main(words, strict=False):
    """Run an event by its words, such as ["up", "wg0"]; exit code: 0, with `strict` 1 if something is wrong."""
    log.begin(event_summary.EventSummary(" ".join(words), label(words)))
    kept_by_hooks.check()
    try:
        handler, _ = find(words)
        problems = handler(words[-1])
    except L2wgError as error:
        problems = error.problems
    except Exception as error:  # whatever it is, it must not cost anybody the VPN
        if strict:
            raise
        problems = (Problem(f"{type(error).__name__}: {error}", "a bug: run `l2wg {} --strict`".format(" ".join(words))),)
    finally:
        log.tell()
    log.complain(problems)
    return 1 if problems and strict else 0
