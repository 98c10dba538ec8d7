"""Two full routers for each file of tests, which run in their order: each goes on where the one before left."""
import pytest

import topology
import vm as machines


@pytest.fixture(scope="module")
def reference(suite, request):
    """The reference case; a file's INTERFACES are another interfaces(5) for some of its sites."""
    with machines.scratch() as directory:
        reference = topology.Reference(suite, directory, getattr(request.module, "INTERFACES", None))
        try:
            yield reference.wait()
        finally:
            reference.close()
