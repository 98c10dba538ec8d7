"""A router where all is right, for hooks.py. The kernel of a build machine has neither WireGuard, nor GRE, nor bridges' names in nftables:
so ip(8) and nft(8) are run, and then what they print is what a router of the lab has. All else is real.
"""

from pathlib import Path

RECORDED = Path(__file__).resolve().parents[1] / "golden/status/right-a/in"
CONF = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\nbridge-ports = enp3s0\nbridge-address =\n"
# Each costs a sh and a cat more than on a router.
TOOLS = {
    "ip": 'case $* in *address*show*) file=links ;; *-batch*) file=links; set -- -d address show ;; *) exec /usr/bin/real-ip "$@" ;; esac',
    "nft": 'case $* in *list*inet*) file=inet ;; *list*bridge*) file=bridge ;; *list*) exec /usr/bin/real-nft "$@" ;; *) exit 0 ;; esac',
}
TOOL = '#!/bin/sh\n%s\n/usr/bin/real-%s "$@" >/dev/null 2>&1\nexec cat /root/$file\n'


def make(here):
    """Put it into a box, in which the package is installed."""
    here.put("etc/l2wg/gretap1.conf", CONF)
    for name in ("links", "inet", "bridge"):
        here.put("root/" + name, (RECORDED / name).read_text())
    for name, script in TOOLS.items():
        here.put("root/" + name, TOOL % (script, name), 0o755)
        here.sh(f"mv $(readlink -f $(command -v {name})) /usr/bin/real-{name}; for at in /usr/sbin /usr/bin; do rm -f $at/{name}; cp /root/{name} $at/; done")
    # This loads the rules, whatever else it says.
    here.run("l2wg", "event", "up", "boot")
    said = here.run("l2wg", "event", "up", "br0").stderr
    if said:
        raise RuntimeError(f"not all is right: {said}")
