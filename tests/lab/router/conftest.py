"""Two full routers for the whole tier: the tests run in the order of their file, each goes on where the one before left."""
import pytest

import topology
import vm as machines


@pytest.fixture(scope="session")
def reference(suite):
    with machines.scratch() as directory:
        reference = topology.Reference(suite, directory)
        try:
            yield reference.wait()
        finally:
            reference.close()
