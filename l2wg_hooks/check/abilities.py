"""What this router's iproute2, nft(8) and kernel have: the table of system/features.py, asked row by row. For `l2wg check -v`."""

import os

from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import features, process

VERSIONS = ((features.IP, ("ip", "-V")), (features.NFT, ("nft", "--version")))


def lines():
    """Lines for people: the versions, then what is there and what is not."""
    told = [f"{features.KERNEL} {os.uname().release}"]
    told += [f"{tool} {features.version(process.output(*argv))}" for tool, argv in VERSIONS]
    yield "this router: " + ", ".join(told)
    for feature in features.FEATURES:
        if feature.tool == features.NFT and os.geteuid():
            yield f"whether it has {feature.name}, only root can tell: sudo l2wg check -v"
            continue
        found, why = _ask(feature)
        if found:
            yield f"has {feature.name}"
        else:
            yield "has not {} ({} has{}): {}".format(
                feature.name, features.since(feature), "; here: " + why if why else "", feature.without
            )


def _ask(feature):
    """(whether this router has it, why not as the command says it)."""
    if not feature.argv:
        return not features.is_old(feature, os.uname().release), "Linux " + os.uname().release
    try:
        result = process.run(feature.argv, feature.text)
    except L2wgError as error:
        return False, error.problems[0].message
    return features.has(feature, result.code, result.out), result.err.strip().partition("\n")[0]
