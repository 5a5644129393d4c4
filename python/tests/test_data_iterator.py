"""What an iterator over a dataset tells, and gives."""

import pyarrow as pa
import pytest

import raceline
from raceline.data import DataContext, DataIterator, DatasetIterator, MaterializedDataset


def test_an_iterator_gives_what_its_dataset_gives():
    dataset = raceline.range(5)
    iterator = dataset.iterator()
    assert isinstance(iterator, DataIterator)
    assert DatasetIterator is DataIterator
    for _ in range(2):
        assert list(iterator.iter_rows()) == dataset.take_all()
        batches = list(iterator.iter_batches(batch_size=2, batch_format="pyarrow"))
        assert [batch.num_rows for batch in batches] == [2, 2, 1]
        assert pa.concat_tables(batches)["id"].to_pylist() == list(range(5))
        assert len(list(iterator.iter_batches(batch_size=2, drop_last=True))) == 2
        drawn = iterator.iter_batches(local_shuffle_buffer_size=3, local_shuffle_seed=1)
        assert sorted(next(iter(drawn))["id"].tolist()) == list(range(5))


def test_an_iterator_tells_about_itself():
    dataset = raceline.range(5)
    iterator = dataset.iterator()
    assert repr(iterator) == f"DataIterator({dataset!r})"
    assert iterator.schema() == dataset.schema()
    assert iterator.get_context() is DataContext.get_current()
    assert iterator.stats() == ""
    list(iterator.iter_batches())
    assert "Range" in iterator.stats()
    assert iterator.stats() == dataset.stats()
    kept = iterator.materialize()
    assert isinstance(kept, MaterializedDataset)
    assert kept.take_all() == dataset.take_all()


def test_an_iterator_over_kept_rows_computes_nothing_again():
    calls = []

    def look(row):
        calls.append(row)
        return row

    kept = raceline.range(5).map(look, debug=True).materialize()
    iterator = kept.iterator()
    assert len(calls) == 5
    for _ in range(2):
        assert len(list(iterator.iter_rows())) == 5
    assert len(calls) == 5


@pytest.mark.parametrize("method", ["iter_batches", "iter_rows"])
def test_an_iteration_that_is_dropped_ends_its_run(method):
    iterator = raceline.range(10**12).iterator()
    first = iter(getattr(iterator, method)())
    next(first)
    del first
    assert "finished" in iterator.stats() or "cancelled" in iterator.stats()


def test_two_iterations_at_once_do_not_disturb_each_other():
    batches = raceline.range(6).iter_batches(batch_size=2)
    pairs = [(a["id"].tolist(), b["id"].tolist()) for a, b in zip(batches, batches, strict=True)]
    assert pairs == [([0, 1], [0, 1]), ([2, 3], [2, 3]), ([4, 5], [4, 5])]


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("tensorflow", lambda rows: rows.iter_tf_batches()),
        ("tensorflow", lambda rows: rows.to_tf("id", "id")),
        ("jax", lambda rows: rows.iter_jax_batches()),
        ("torch", lambda rows: rows.iter_torch_batches()),
        ("torch", lambda rows: rows.iterator().to_torch()),
    ],
)
def test_a_package_that_is_not_there_is_named(monkeypatch, package, call):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ImportError, match=rf'pip install "raceline\[{package}\]"'):
        call(raceline.range(3))
