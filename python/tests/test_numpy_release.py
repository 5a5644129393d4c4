"""Which NumPy is installed, told without importing it."""

import subprocess
import sys

import numpy as np
import pytest

from raceline._lambda import translate
from raceline._numpy_release import numpy_release

INSTALLED = tuple(int(part) for part in np.__version__.split(".")[:2])


def test_the_release_is_that_of_the_loaded_module():
    numpy_release.cache_clear()
    assert numpy_release() == INSTALLED


def test_the_release_is_found_without_an_import():
    program = (
        "import sys; from raceline._numpy_release import numpy_release;"
        "print(*numpy_release(), 'numpy' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == [*map(str, INSTALLED), "False"]


def test_only_programs_with_powers_ask_for_it():
    assert translate(lambda batch: {"a": batch["a"] + 1}).program[3] == (False, False)
    expected = INSTALLED >= (2, 3)
    assert translate(lambda batch: {"a": batch["a"] ** 0.5}).program[3] == (False, expected)


def root(values):
    return values**0.5


def test_powers_in_called_functions_count():
    program = translate(lambda batch: {"a": root(batch["a"])}).program
    assert program[3] == (False, INSTALLED >= (2, 3))


@pytest.mark.skipif(INSTALLED < (2, 3), reason="older NumPy computes them with the processor's pow")
def test_ints_to_the_power_of_a_half_are_roots():
    values = np.random.default_rng(0).integers(0, 2**62, 100_000)
    assert np.array_equal(values**0.5, np.sqrt(values))
