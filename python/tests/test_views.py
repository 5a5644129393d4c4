"""Views over batches that somebody keeps for ever: nothing under them changes, however much memory
is used again after them."""

import numpy as np
import pyarrow as pa
import pytest

import raceline

ROWS = 50_000
BATCH = 500


def wide(batch):
    """Columns of every kind of buffer, all told by the id."""
    ids = batch["id"]
    return pa.table(
        {
            "id": ids,
            "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(
                np.repeat(ids, 6).reshape(-1, 2, 3).astype("f4")
            ),
            "text": [f"row {n}" * (n % 4) for n in ids.tolist()],
            "parts": [[n] * (n % 3) for n in ids.tolist()],
            "maybe": pa.array(ids.tolist(), mask=ids % 5 == 0),
        }
    )


class Keeps:
    """Keeps each batch as it came, and a copy of it; at the last it counts those that are equal."""

    def __init__(self):
        self.kept = []

    def __call__(self, batch):
        self.kept.append((batch, copied(batch)))
        if len(self.kept) < ROWS // BATCH:
            return {"unchanged": [0]}
        return {"unchanged": [sum(copied(view) == before for view, before in self.kept)]}


def copied(batch):
    """The values of a batch as text, in which NaN equals NaN."""
    if isinstance(batch, pa.Table):
        return repr(batch.to_pydict())
    columns = batch if isinstance(batch, dict) else dict(batch.items())
    return repr({name: [np.asarray(cell).tolist() for cell in columns[name]] for name in columns})


@pytest.mark.parametrize("batch_format", ["numpy", "pandas", "pyarrow"])
def test_a_function_may_keep_its_batches(batch_format):
    dataset = raceline.range(ROWS).map_batches(wide, batch_size=BATCH)
    kept = dataset.map_batches(
        Keeps,
        batch_size=BATCH,
        batch_format=batch_format,
        concurrency=1,
    )
    assert kept.sum("unchanged") == ROWS // BATCH


@pytest.mark.parametrize("batch_format", ["numpy", "pandas", "pyarrow"])
def test_a_consumer_may_keep_its_batches(batch_format):
    dataset = raceline.range(ROWS).map_batches(wide, batch_size=BATCH)
    batches = dataset.iter_batches(batch_size=BATCH, batch_format=batch_format)
    kept = [(batch, copied(batch)) for batch in batches]
    assert len(kept) == ROWS // BATCH
    assert all(copied(view) == before for view, before in kept)


def test_a_function_may_keep_what_it_returned():
    class Returns:
        def __init__(self):
            self.returned = []

        def __call__(self, batch):
            output = {"id": batch["id"], "double": batch["id"] * 2}
            for earlier in self.returned:
                assert (earlier["double"] == 2 * earlier["id"]).all()
            self.returned.append(output)
            return output

    dataset = raceline.range(ROWS).map_batches(Returns, batch_size=BATCH, concurrency=1)
    assert dataset.sum("double") == ROWS * (ROWS - 1)


def test_memory_of_batches_that_nobody_keeps_is_used_again():
    """A worker of 200 batches of 8 MB maps a handful of them at a time."""

    def mapped(batch):
        assert (batch["tensor"] == 1).all()
        with open("/proc/self/smaps_rollup") as file:
            shared = sum(int(line.split()[1]) for line in file if line.startswith("Shared_"))
        return {"shared_kb": [shared], "id": batch["id"][:1]}

    def filled(batch):
        return {"id": batch["id"], "tensor": np.ones((len(batch["id"]), 1000))}

    dataset = raceline.range(200_000).map_batches(filled, batch_size=1000, concurrency=1)
    used = dataset.map_batches(mapped, batch_size=1000, concurrency=1).to_pandas()
    assert len(used) == 200
    assert used["shared_kb"].max() < 200_000
