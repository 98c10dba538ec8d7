"""One machine for the whole tier: the tests run in the order of their file, and each puts its neighbour to rest again."""

import pytest
import vm as machines
from neighbourhood import Neighbourhood


@pytest.fixture(scope="session")
def bare(suite):
    """Before l2wg."""
    with machines.scratch() as directory:
        lab = Neighbourhood(suite, directory)
        try:
            yield lab.wait()
        finally:
            lab.close()
