"""What all Python tests share."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _session():
    """A session of known size for each module; the engine starts when a test needs it."""
    import raceline

    raceline.shutdown()
    raceline.init(num_cpus=2, num_gpus=8, progress=False)
    yield
    raceline.shutdown()
