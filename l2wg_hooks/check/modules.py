"""The kernel's switches and modules: sysctl(8)'s values and what modprobe(8) could load. For `l2wg check`."""

import os

from l2wg_hooks import model
from l2wg_hooks.check.cause import NOTHING, Cause
from l2wg_hooks.check.scene import Check
from l2wg_hooks.system import files, process

CAUSES = (
    Cause(
        "module-missing",
        NOTHING,
        "The kernel has no module for the tunnel, the bridge or the rules.",
        "Install a kernel that has it: linux-image-amd64 does, linux-image-cloud-amd64 and hosters' own may not.",
    ),
    Cause(
        "reboot-needed",
        NOTHING,
        "The kernel was upgraded, and the modules of the one that runs are gone from the disk.",
        "Reboot.",
    ),
)
SYSCTLS = "/proc/sys"
MODULES = "/sys/module"
STORE = "/lib/modules"


def sysctl(*words):
    """A value by the words of its name, such as ("net", "ipv4", "ip_forward"); "" where the kernel has no such thing."""
    return files.glance(os.path.join(SYSCTLS, *words)).strip()


def wanted(tunnels, links, classic):
    """{module: Tunnel} of those that something is missing for; what is there has its module. Pure.

    `classic` says whether iptables sees bridged frames already.
    """
    found = {}
    guarded = any(model.is_ours(link) for link in links.values())
    for tunnel in tunnels:
        if tunnel.name not in links:
            found.setdefault(tunnel.link_kind.module, tunnel)
        if tunnel.bridge not in links:
            found.setdefault("bridge", tunnel)
        if tunnel.underlay not in links:
            found.setdefault("wireguard", tunnel)
        if not guarded:
            found.setdefault("nf_tables", tunnel)
        if tunnel.mss_clamp == "iptables" and not classic:
            found.setdefault("br_netfilter", tunnel)
    return found


def loadable(module):
    """Whether the kernel has a module, or modprobe(8) would find it. Raises L2wgError where that is not there."""
    return os.path.isdir(os.path.join(MODULES, module)) or process.run(("modprobe", "-n", "-q", module)).code == 0


def judge(missing, release, stored):
    """Problems of the modules in `missing`, {module: Tunnel}. Pure.

    `stored` says whether there are modules for the running kernel, `release`, on the disk at all.
    """
    for module, tunnel in sorted(missing.items(), key=lambda row: row[0]):
        if not stored:
            message = f"the modules of the running kernel {release} are gone from {STORE}, and {module} is not loaded"
            yield tunnel.problem("", message, "reboot: a newer kernel was installed", "reboot-needed")
        else:
            hint = "apt install linux-image-amd64 # or the package of your architecture's full kernel; then: reboot"
            if module == "wireguard":
                hint = "Debian 10: apt install -t buster-backports linux-image-amd64; then: reboot # else: " + hint
            yield tunnel.problem("", f"the kernel {release} has no module {module}", hint, "module-missing")


def _modules(scene):
    tunnels, links = scene.tunnels, scene.links
    needed = wanted(tunnels, links, bool(sysctl("net", "bridge", "bridge-nf-call-iptables")))
    if any(os.path.exists(os.path.join(folder, "wireguard-go")) for folder in process.ENVIRONMENT["PATH"].split(":")):
        needed.pop("wireguard", None)
    missing = {name: tunnel for name, tunnel in needed.items() if not loadable(name)}
    release = os.uname().release
    stored = not os.path.isdir(STORE) or os.path.isdir(os.path.join(STORE, release))
    return judge(missing, release, stored)


CHECKS = (Check("kernel modules", _modules, False),)
