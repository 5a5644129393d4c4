"""Batches of TensorFlow tensors, and `tf.data` datasets."""

import numpy as np
import pytest
from opaque import opaque

import raceline
from raceline.errors import ColumnNotFoundError, TensorError

tf = pytest.importorskip("tensorflow")


def rows():
    return raceline.range(5).map_batches(
        opaque(
            lambda batch: {
                "id": batch["id"],
                "text": [f"row {one}" for one in batch["id"]],
                "t": np.ones((len(batch["id"]), 2), np.float32),
            }
        )
    )


def test_batches_are_dicts_of_tensors():
    batches = rows().iter_tf_batches(batch_size=2)
    for _ in range(2):
        first, *_, last = batches
        assert first["id"].numpy().tolist() == [0, 1]
        assert first["text"].numpy().tolist() == [b"row 0", b"row 1"]
        assert first["t"].shape == (2, 2)
        assert last["id"].numpy().tolist() == [4]


def test_types_are_as_asked():
    [batch] = rows().iter_tf_batches(dtypes={"id": tf.float16})
    assert (batch["id"].dtype, batch["t"].dtype) == (tf.float16, tf.float32)
    [batch] = raceline.range(3).iter_tf_batches(dtypes=tf.int32)
    assert batch["id"].dtype == tf.int32


def test_tensors_of_different_shapes_are_ragged():
    items = [{"t": np.zeros((n, 2))} for n in (1, 3)]
    [batch] = raceline.from_items(items).iter_tf_batches()
    assert isinstance(batch["t"], tf.RaggedTensor)
    assert [one.shape[0] for one in batch["t"]] == [1, 3]


def test_a_column_without_tensors_is_named():
    with pytest.raises(TensorError) as error:
        list(raceline.from_items([{"s": {"a": 1}}]).iter_tf_batches())
    assert str(error.value) == (
        "column `s` cannot become a tensor of TensorFlow\n"
        "  hint: drop the column, or turn it into numbers or texts"
    )


def test_a_dataset_of_features_and_labels():
    dataset = rows().to_tf("t", "id", batch_size=2)
    assert dataset.element_spec == (
        tf.TensorSpec([None, 2], tf.float32),
        tf.TensorSpec([None], tf.int64),
    )
    for _ in range(2):
        labels = [label.numpy().tolist() for _, label in dataset]
        assert labels == [[0, 1], [2, 3], [4]]
    dataset = (
        rows()
        .iterator()
        .to_tf(["t", "text"], "id", additional_columns=["id"], batch_size=5, drop_last=True)
    )
    [(features, labels, more)] = dataset
    assert sorted(features) == ["t", "text"]
    assert labels.numpy().tolist() == more["id"].numpy().tolist() == [0, 1, 2, 3, 4]


def test_types_that_are_said_need_no_first_row():
    seen = []

    def look(row):
        seen.append(row)
        return row

    spec = tf.TensorSpec([None], tf.int64)
    dataset = raceline.range(3).map(look, debug=True)
    pairs = dataset.to_tf("id", "id", feature_type_spec=spec, label_type_spec=spec, batch_size=3)
    assert seen == []
    [(features, _)] = pairs
    assert features.numpy().tolist() == [0, 1, 2]


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(ColumnNotFoundError) as error:
        rows().to_tf("x", "id")
    assert str(error.value) == "there is no column `x`\n  hint: there are `id`, `text`, `t`"
