"""Batches of JAX arrays."""

import pytest

import raceline
from raceline.errors import PlanError, TensorError

jax = pytest.importorskip("jax")


def test_batches_are_dicts_of_arrays():
    batches = list(raceline.range(5).iter_jax_batches(batch_size=2))
    assert [batch["id"].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert all(isinstance(batch["id"], jax.Array) for batch in batches)


def test_types_and_paddings_are_as_asked():
    batches = raceline.range(5).iter_jax_batches(
        batch_size=4, dtypes=jax.numpy.float32, paddings={"id": -1}, synchronize_batches=True
    )
    assert [batch["id"].tolist() for batch in batches] == [[0, 1, 2, 3], [4, -1, -1, -1]]
    [batch] = raceline.range(2).iter_jax_batches(batch_size=4, paddings=7)
    assert batch["id"].tolist() == [0, 1, 7, 7]
    [batch] = raceline.range(2).iter_jax_batches(dtypes={"id": jax.numpy.int8})
    assert batch["id"].dtype == jax.numpy.int8


def test_a_function_makes_what_comes():
    batches = raceline.range(3).iter_jax_batches(collate_fn=lambda batch: batch["id"].sum())
    assert list(batches) == [3]
    with pytest.raises(PlanError, match=r"^pass either `collate_fn`, or `dtypes` and `paddings`"):
        raceline.range(3).iter_jax_batches(collate_fn=len, paddings=1)
    with pytest.raises(PlanError, match=r"^`paddings` needs a `batch_size` to fill batches up to"):
        raceline.range(3).iter_jax_batches(batch_size=None, paddings=1)


def test_a_column_without_arrays_is_named():
    with pytest.raises(TensorError) as error:
        list(raceline.from_items([{"s": "x"}]).iter_jax_batches())
    assert str(error.value) == (
        "column `s` cannot become a JAX array: it holds object\n"
        "  hint: drop the column, or pass `collate_fn`"
    )
