"""Preprocessors of categories, texts and vectors, against plain Python."""

import datetime
import decimal
import sys
import types
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import raceline as ray
from raceline import errors
from raceline.data import preprocessors as pp


def rows(**columns):
    return ray.data.from_arrow(pa.table(columns))


def in_parts(rows_of_a_part=7, **columns):
    """The same rows as they lie in many batches."""
    table = pa.table(columns)
    firsts = range(0, table.num_rows, rows_of_a_part)
    return ray.data.from_arrow([table.slice(first, rows_of_a_part) for first in firsts])


def batch(fitted, **columns):
    """The first column of one transformed batch."""
    return fitted.transform_batch(pa.table(columns))[next(iter(columns))]


VALUES = {
    "strings": ["b", "a", "", "b", "ä", "c"],
    "ints": [3, -1, 2**62 + 1, 3, 0, 7],
    "floats": [0.5, -0.5, 1e300, 0.5, 0.0, float("inf")],
    "bools": [True, False, True, True, False, False],
    "bytes": [b"x", b"", b"y", b"x", b"z", b"\xff"],
    "dates": [datetime.date(2020, 1, day) for day in (3, 1, 2, 3, 5, 4)],
    "times": [datetime.datetime(2020, 1, day, 12) for day in (3, 1, 2, 3, 5, 4)],
    "decimals": [decimal.Decimal(one) for one in ("1.5", "-2.0", "0.3", "1.5", "7.1", "9.9")],
}


@pytest.mark.parametrize("kind", VALUES)
def test_ids_are_the_places_among_the_sorted_values(kind):
    values = VALUES[kind]
    encoder = pp.OrdinalEncoder(["x"]).fit(in_parts(2, x=values))
    ids = {value: at for at, value in enumerate(sorted(set(values)))}
    assert encoder.stats_ == {"unique_values(x)": ids}
    assert batch(encoder, x=values).to_pylist() == [ids[one] for one in values]


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
)
def test_ids_of_texts_of_all_types(kind):
    column = pa.array(["b", "a", "b"]).cast(kind)
    encoder = pp.OrdinalEncoder(["x"])
    dataset = ray.data.from_arrow(pa.table({"x": column}))
    assert [row["x"] for row in encoder.fit_transform(dataset).take_all()] == [1, 0, 1]
    assert encoder.stats_ == {"unique_values(x)": {"a": 0, "b": 1}}


def test_a_value_that_was_not_there_has_no_id():
    encoder = pp.OrdinalEncoder(["x", "y"], output_columns=["i", "j"])
    encoder.fit(rows(x=["a", "b"], y=[1, 2]))
    made = encoder.transform(rows(x=["b", "z"], y=[9, 1]))
    assert made.take_all() == [
        {"x": "b", "y": 9, "i": 1, "j": None},
        {"x": "z", "y": 1, "i": None, "j": 0},
    ]
    np.testing.assert_array_equal(made.take_batch()["i"], [1, np.nan])
    assert batch(encoder, x=["a"], y=[1.0]).to_pylist() == ["a"]
    assert encoder.transform_batch({"x": ["a"], "y": [1.0]})["j"].tolist() == [0]


def test_ids_of_lists():
    genres = [["comedy", "action", "sports"], ["animation", "comedy", "action"], ["documentary"]]
    dataset = in_parts(1, genre=genres)
    by_item = pp.OrdinalEncoder(["genre"]).fit(dataset)
    assert batch(by_item, genre=genres).to_pylist() == [[2, 0, 4], [1, 2, 0], [3]]
    assert batch(by_item, genre=[["new", "comedy"], []]).to_pylist() == [[None, 2], []]
    whole = pp.OrdinalEncoder(["genre"], encode_lists=False).fit(dataset)
    assert batch(whole, genre=genres).to_pylist() == [1, 0, 2]
    assert batch(whole, genre=[["new"]]).to_pylist() == [None]


MISSING = [["a", None], [1.0, float("nan")], [1, None]]


@pytest.mark.parametrize("encoder", [pp.OrdinalEncoder, pp.OneHotEncoder, pp.MultiHotEncoder])
@pytest.mark.parametrize("values", MISSING)
def test_missing_values_have_no_id(encoder, values):
    with pytest.raises(ValueError, match=r"^column `x` has missing values, which have no id"):
        encoder(["x"]).fit(rows(x=values))


@pytest.mark.parametrize("encoder", [pp.OrdinalEncoder, pp.OneHotEncoder])
@pytest.mark.parametrize("values", MISSING)
def test_missing_values_are_not_encoded(encoder, values):
    fitted = encoder(["x"]).fit(rows(x=values[:1]))
    with pytest.raises(ValueError, match=r"^column `x` has missing values: fill them first"):
        batch(fitted, x=values)


def test_values_that_cannot_be_told_apart():
    with pytest.raises(errors.PlanError, match=r"of column `x` cannot be told apart"):
        pp.OrdinalEncoder(["x"]).fit(rows(x=[{"a": 1}, {"a": 2}]))


def test_objects_have_no_ids():
    with pytest.warns(UserWarning, match=r"no Arrow type can hold"):
        dataset = ray.data.from_items([{"x": "a"}, {"x": 1}])
    for encoder in (pp.OrdinalEncoder, pp.OneHotEncoder, pp.Categorizer):
        with pytest.raises(TypeError, match=r"^column `x` holds objects that no Arrow type"):
            encoder(["x"]).fit(dataset)


def test_one_hot_vectors():
    colours = ["red", "green", "red", "red", "blue", "green"]
    dataset = in_parts(2, color=colours)
    encoder = pp.OneHotEncoder(["color"])
    made = encoder.fit_transform(dataset).to_arrow()["color"]
    assert made.type == pa.fixed_shape_tensor(pa.uint8(), [3])
    names = ["blue", "green", "red"]
    wanted = [[int(one == name) for name in names] for one in colours]
    assert np.stack(made.to_pylist()).tolist() == wanted
    unseen = encoder.transform(rows(color=["yellow", "red"])).take_batch()["color"]
    assert unseen.tolist() == [[0, 0, 0], [0, 0, 1]]
    few = pp.OneHotEncoder(["color"], max_categories={"color": 2}).fit(dataset)
    assert few.stats_ == {"unique_values(color)": {"red": 0, "green": 1}}
    assert batch(few, color=["red", "blue"]).to_pylist() == [[1, 0], [0, 0]]


def test_one_hot_vectors_of_lists():
    encoder = pp.OneHotEncoder(["x"], output_columns=["hot"]).fit(rows(x=[["b"], ["a", "b"]]))
    assert encoder.stats_ == {"unique_values(x)": {("a", "b"): 0, ("b",): 1}}
    made = encoder.transform_batch({"x": [["b"], ["a"]]})
    assert made["hot"].tolist() == [[0, 1], [0, 0]]


def test_multi_hot_vectors_count():
    genres = [["comedy", "action", "comedy"], ["animation", "comedy"], [], ["documentary"]]
    dataset = in_parts(1, genre=genres)
    encoder = pp.MultiHotEncoder(["genre"])
    made = encoder.fit_transform(dataset).take_batch()["genre"]
    names = ["action", "animation", "comedy", "documentary"]
    assert made.tolist() == [[one.count(name) for name in names] for one in genres]
    few = pp.MultiHotEncoder(["genre"], max_categories={"genre": 1}).fit(dataset)
    assert few.stats_ == {"unique_values(genre)": {"comedy": 0}}
    assert batch(few, genre=[["comedy"] * 300, None, ["new"]]).to_pylist() == [[300], [0], [0]]
    scalars = pp.MultiHotEncoder(["x"]).fit(rows(x=["b", "a"]))
    assert batch(scalars, x=["a", "z"]).to_pylist() == [[1, 0], [0, 0]]


def test_labels_there_and_back():
    dataset = rows(width=[5.1, 7.0, 4.9], species=["setosa", "versicolor", "setosa"])
    encoder = pp.LabelEncoder("species")
    made = encoder.fit_transform(dataset)
    assert [row["species"] for row in made.take_all()] == [0, 1, 0]
    assert encoder.inverse_transform(made).take_all() == dataset.take_all()
    assert batch(encoder, species=["bracteata"]).to_pylist() == [None]
    unknown = encoder.inverse_transform(rows(species=[1.0, 9.0, None])).take_all()
    assert [row["species"] for row in unknown] == ["versicolor", None, None]
    with pytest.raises(pp.PreprocessorNotFittedException):
        pp.LabelEncoder("species").inverse_transform(made)
    with pytest.raises(errors.ColumnNotFoundError):
        encoder.inverse_transform(rows(other=[1]))


def test_categories():
    dataset = in_parts(2, sex=["m", "f", None, "m"], level=["L4", "L5", "L3", "L4"])
    kind = pd.CategoricalDtype(["L3", "L4"], ordered=True)
    categorizer = pp.Categorizer(["sex", "level"], dtypes={"level": kind})
    made = categorizer.fit_transform(dataset).to_arrow()
    assert categorizer.stats_ == {"sex": pd.CategoricalDtype(["f", "m"]), "level": kind}
    assert made["sex"].to_pylist() == ["m", "f", None, "m"]
    assert made["level"].to_pylist() == ["L4", None, "L3", "L4"]
    frame = categorizer.transform_batch(pd.DataFrame({"sex": ["f"], "level": ["L4"]}))
    assert frame["sex"].dtype == "category"
    assert frame["level"].cat.ordered
    assert frame["level"].cat.categories.tolist() == ["L3", "L4"]


def test_tokens():
    texts = ["Hello, world!", "foo bar\nbaz", "", " a  b ", None]
    default = pp.Tokenizer(["text"])
    wanted = [None if one is None else one.split(" ") for one in texts]
    assert batch(default, text=texts).to_pylist() == wanted
    made = default.transform(in_parts(2, text=texts, at=list(range(5)))).take_all()
    assert made == [{"text": one, "at": at} for at, one in enumerate(wanted)]
    own = pp.Tokenizer(["text"], lambda text: [len(text)], output_columns=["n"])
    assert own.transform_batch(pa.table({"text": texts}))["n"].to_pylist() == [
        [13],
        [11],
        [0],
        [6],
        None,
    ]
    with pytest.raises(TypeError, match=r"column `text` of type `int64` holds no texts"):
        batch(default, text=[1])


CORPUS = ["Jimmy likes volleyball", "Bob likes volleyball too", "Bob also likes fruit jerky"]


def test_counts_of_tokens():
    dataset = in_parts(1, corpus=CORPUS)
    vectorizer = pp.CountVectorizer(["corpus"]).fit(dataset)
    counter = Counter(token for text in CORPUS for token in text.split(" "))
    assert vectorizer.stats_ == {"token_counts(corpus)": counter}
    names = [token for token, _ in counter.most_common()]
    made = np.stack(batch(vectorizer, corpus=CORPUS).to_pylist())
    assert made.tolist() == [[text.split(" ").count(name) for name in names] for text in CORPUS]
    few = pp.CountVectorizer(["corpus"], max_features=3, output_columns=["v"]).fit(dataset)
    made = few.transform(rows(corpus=["Bob Bob new", None])).take_all()
    assert made[0]["v"].tolist() == [0, 0, 2]
    assert made[1] == {"corpus": None, "v": None}


def test_counts_of_hashes():
    vectorizer = pp.HashingVectorizer(["corpus"], 8, str.lower)
    made = np.stack(batch(vectorizer, corpus=["aBa", ""]).to_pylist())
    wanted = np.zeros((2, 8), int)
    for letter in "aba":
        wanted[0, pp.simple_hash(letter, 8)] += 1
    assert made.tolist() == wanted.tolist()


def test_hashed_columns():
    hasher = pp.FeatureHasher(["I", "like", "Python"], 4, "hashed")
    made = hasher.transform(rows(I=[1, 2], like=[1, 0], Python=[1, 5])).to_arrow()
    wanted = np.zeros((2, 4), int)
    for name, values in {"I": [1, 2], "like": [1, 0], "Python": [1, 5]}.items():
        wanted[:, pp.simple_hash(name, 4)] += values
    assert made.column_names == ["I", "like", "Python", "hashed"]
    assert made["hashed"].type == pa.fixed_shape_tensor(pa.int64(), [4])
    assert np.stack(made["hashed"].to_pylist()).tolist() == wanted.tolist()
    halves = hasher.transform_batch({"I": [0.5], "like": [1], "Python": [0]})["hashed"]
    assert halves.dtype == np.float64
    with pytest.raises(ValueError, match=r"column `like` has missing values"):
        hasher.transform_batch({"I": [0.5], "like": [None], "Python": [0]})


def test_vectors_of_columns():
    dataset = rows(x=[0, 3, 1], y=[0.5, 0.2, None], name=["a", "b", "c"])
    made = pp.Concatenator(["x", "y"]).transform(dataset)
    assert made.columns() == ["name", "concat_out"]
    np.testing.assert_array_equal(
        made.take_batch()["concat_out"], [[0.0, 0.5], [3.0, 0.2], [1.0, np.nan]]
    )
    turned = pp.Concatenator(["y", "x"], "v", np.float32).transform_batch({"x": [1], "y": [2]})
    assert turned["v"].tolist() == [[2.0, 1.0]]
    assert turned["v"].dtype == np.float32
    large = pp.Concatenator(["x", "z"]).transform_batch({"x": [2**62 + 1], "z": [True]})
    assert large["concat_out"].tolist() == [[2**62 + 1, 1]]


def test_vectors_of_vectors():
    table = pa.table(
        {
            "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(8.0).reshape(2, 2, 2)),
            "list": [[1, 2], [3, 4]],
            "x": [9, 8],
        }
    )
    flat = pp.Concatenator(["list", "x", "tensor"], flatten=True).transform_batch(table)
    assert flat["concat_out"].to_pylist() == [
        [1, 2, 9, 0, 1, 2, 3],
        [3, 4, 8, 4, 5, 6, 7],
    ]
    with pytest.raises(TypeError, match=r"column `list` holds vectors: pass `flatten=True`"):
        pp.Concatenator(["list"]).transform_batch(table)


def test_columns_that_are_not_there():
    dataset = rows(x=[1], y=[2])
    with pytest.warns(UserWarning, match=r"leaves out columns that are not there: \['z'\]"):
        made = pp.Concatenator(["x", "z"]).transform(dataset)
    assert made.take_all()[0]["concat_out"].tolist() == [1]
    with pytest.raises(errors.ColumnNotFoundError, match=r"`z`"):
        pp.Concatenator(["x", "z"], raise_if_missing=True).transform(dataset)
    strict = pp.Concatenator(["x", "z"], raise_if_missing=True)
    with pytest.raises(ValueError, match=r"there are no columns \['z'\], only \['x'\]"):
        strict.transform_batch({"x": [1]})
    with pytest.raises(ValueError, match=r"there are no columns \['z'\]"):
        pp.Concatenator(["z"]).transform_batch({"x": [1]})


def test_what_fitted_on_nothing_makes_no_vectors():
    empty = rows(x=pa.array([], pa.string()))
    fitted = pp.OneHotEncoder(["x"]).fit(empty)
    assert fitted.stats_ == {"unique_values(x)": {}}
    with pytest.raises(ValueError, match=r"the data that was fitted had no values"):
        batch(fitted, x=["a"])


class Tensor(list):
    def numpy(self):
        return np.array(self)


@pytest.fixture
def torch(monkeypatch):
    """A stand-in where torch is not installed: what the preprocessor uses of it."""
    try:
        import torch as real
    except ImportError:
        real = types.ModuleType("torch")
        real.Tensor, real.tensor = Tensor, lambda array: Tensor(array.tolist())
        real.__spec__ = types.SimpleNamespace(name="torch")
        monkeypatch.setitem(sys.modules, "torch", real)
    return real


def test_transforms_of_pictures(torch):
    images = np.arange(24.0).reshape(2, 2, 3, 2)
    calls = []

    def as_array(value):
        if not isinstance(value, np.ndarray):
            raise TypeError("an array is wanted")
        calls.append(value.shape)
        return torch.tensor(value * 2)

    single = pp.TorchVisionPreprocessor(["image"], as_array, output_columns=["double"])
    made = single.transform_batch({"image": images})
    np.testing.assert_array_equal(np.stack(made["double"]), images * 2)
    np.testing.assert_array_equal(made["image"], images)
    assert calls == [(2, 3, 2)] * 2
    calls.clear()
    batched = pp.TorchVisionPreprocessor(["image"], as_array, batched=True)
    np.testing.assert_array_equal(batched.transform_batch({"image": images})["image"], images * 2)
    assert calls == [(2, 2, 3, 2)]
    wrong = pp.TorchVisionPreprocessor(["image"], lambda image: 3)
    with pytest.raises(ValueError, match=r"must give a `torch.Tensor`, got `int`"):
        wrong.transform_batch({"image": images})
    assert "batched=True" in repr(batched)
