"""Objects by reference, as programs written for Ray pass them."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import raceline as ray
from raceline.errors import ColumnNotFoundError, PlanError


def test_put_and_get():
    thing = object()
    ref = ray.put(thing)
    assert ray.get(ref) is thing
    assert ray.get([ref, ray.put(3)], timeout=5) == [thing, 3]
    assert ray.get([]) == []
    assert isinstance(ref, ray.ObjectRef)
    assert repr(ref) == "ObjectRef(object)"


def test_what_is_no_reference():
    with pytest.raises(TypeError) as caught:
        ray.put(ray.put(1))
    assert str(caught.value) == "`put` was given a reference: put the object itself"
    with pytest.raises(PlanError) as planned:
        ray.get(3)
    assert str(planned.value) == (
        "`get` needs a reference or a list of references, got `int`\n"
        "  hint: `put` makes a reference of an object"
    )
    with pytest.raises(PlanError) as planned:
        ray.get([ray.put(1), "x"])
    assert str(planned.value) == "`get` was given a list with a `str`, which is no reference"


def test_a_reference_takes_its_object_into_workers():
    weights = ray.put(np.arange(5))
    assert ray.get(pickle.loads(pickle.dumps(weights))).tolist() == [0, 1, 2, 3, 4]

    class Model:
        def __init__(self, weights):
            self.weights = ray.get(weights)

        def __call__(self, batch):
            return {"y": self.weights[batch["id"]] * ray.get(factor)}

    factor = ray.put(10)
    ds = ray.data.range(5).map_batches(Model, fn_constructor_args=[weights], concurrency=1)
    assert [row["y"] for row in ds.take_all()] == [0, 10, 20, 30, 40]


def test_rows_as_references_one_a_batch():
    ds = ray.data.range(100).repartition(4)
    tables = ray.get(ds.to_arrow_refs())
    assert [table.num_rows for table in tables] == [25] * 4
    assert pa.concat_tables(tables)["id"].to_pylist() == list(range(100))
    frames = ray.get(ds.to_pandas_refs())
    assert pd.concat(frames)["id"].tolist() == list(range(100))
    dicts = ray.get(ds.to_numpy_refs())
    assert np.concatenate([one["id"] for one in dicts]).tolist() == list(range(100))
    arrays = ray.get(ds.to_numpy_refs(column="id"))
    assert np.concatenate(arrays).tolist() == list(range(100))
    assert "Range" in ds.stats()
    assert ray.data.range(0).to_arrow_refs() == []
    with pytest.raises(ColumnNotFoundError):
        ds.to_numpy_refs(column="ids")


@pytest.mark.parametrize("wrap", [ray.put, lambda thing: thing], ids=["refs", "objects"])
def test_datasets_of_references(wrap):
    frame = pd.DataFrame({"a": [1, 2]})
    rows = [{"a": 1}, {"a": 2}]
    assert ray.data.from_pandas_refs(wrap(frame)).take_all() == rows
    assert ray.data.from_pandas_refs([wrap(frame), wrap(frame)]).take_all() == rows * 2
    assert ray.data.from_arrow_refs([wrap(pa.table(frame))]).take_all() == rows
    arrays = [wrap(np.zeros((1, 2))), wrap(np.ones((2, 2)))]
    assert ray.data.from_numpy_refs(arrays).take_batch()["data"].tolist() == [
        [0, 0],
        [1, 1],
        [1, 1],
    ]


def test_the_number_of_blocks_may_come_second():
    with pytest.warns(UserWarning, match="^`override_num_blocks` has no effect") as caught:
        assert ray.data.from_pandas([pd.DataFrame({"a": [1]})], 2).count() == 1
    assert caught[0].filename == __file__
