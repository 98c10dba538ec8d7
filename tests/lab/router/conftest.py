"""Two full routers for each file of tests, which run in their order: each goes on where the one before left."""

import pytest
import topology
import vm as machines


@pytest.fixture(scope="module")
def reference(suite, request):
    """The reference case; a file's INTERFACES are another interfaces(5) for some of its sites, WIREGUARD = False leaves that out."""
    with machines.scratch() as directory:
        module = request.module
        reference = topology.Reference(suite, directory, getattr(module, "INTERFACES", None), getattr(module, "WIREGUARD", True))
        try:
            yield reference.wait()
        finally:
            reference.close()
