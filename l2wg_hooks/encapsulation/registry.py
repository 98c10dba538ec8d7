"""The encapsulations that l2wg has. Pure."""

from l2wg_hooks.encapsulation.base import Encapsulation, LinkKind
from l2wg_hooks.encapsulation.gretap import GRETAP
from l2wg_hooks.encapsulation.vxlan import VXLAN
from l2wg_hooks.typed import Dict, Tuple

ENCAPSULATIONS: Dict[str, Encapsulation] = {encapsulation.name: encapsulation for encapsulation in (GRETAP, VXLAN)}
DEFAULT = GRETAP.name
# By the kernel's word for the link.
KINDS: Dict[str, Tuple[Encapsulation, LinkKind]] = {
    kind.name: (encapsulation, kind) for encapsulation in ENCAPSULATIONS.values() for kind in encapsulation.kinds.values()
}
# {the word: what makes it}
MODULES = {name: kind.module for name, (_, kind) in KINDS.items()}
# The UDP ports of an unknown peer's packets, and whose they are.
PEER_PORTS = {port: encapsulation.name for encapsulation in ENCAPSULATIONS.values() for port in encapsulation.peer_ports}
