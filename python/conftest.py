"""What all Python tests share."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _quiet_session():
    """One session without progress for the whole test run."""
    import raceline

    raceline.init(num_cpus=2, num_gpus=8, progress=False, ignore_reinit_error=True)
    yield
    raceline.shutdown()
