"""Preprocessors of numbers, and what all preprocessors have in common, against plain NumPy."""

import itertools
import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import raceline as ray
from raceline import errors
from raceline.data import preprocessors as pp
from raceline.data.aggregate import Max, Mean
from raceline.data.preprocessor import Preprocessor, PreprocessorNotFittedException
from raceline.data.preprocessors import quantiles as quantiles_module
from raceline.data.preprocessors import serialization


def rows(**columns):
    return ray.data.from_arrow(pa.table(columns))


def numbers(seed, count=500):
    """Floats of all sizes with null and NaN among them, as they lie in three batches."""
    rng = np.random.default_rng(seed)
    values = rng.normal(scale=10.0 ** rng.integers(-3, 6), size=count)
    values[rng.random(count) < 0.1] = np.nan
    nulls = rng.random(count) < 0.1
    table = pa.table({"x": pa.array(values, mask=nulls), "id": np.arange(count)})
    cuts = [0, count // 5, count // 2, count]
    parts = [table.slice(a, b - a) for a, b in itertools.pairwise(cuts)]
    return ray.data.from_arrow(parts), values, nulls


def there(values, nulls):
    return values[~nulls & ~np.isnan(values)]


def standard(values, nulls):
    known = there(values, nulls)
    return (values - known.mean()) / known.std()


def min_max(values, nulls):
    known = there(values, nulls)
    return (values - known.min()) / (known.max() - known.min())


def max_abs(values, nulls):
    return values / np.abs(there(values, nulls)).max()


def robust(values, nulls):
    low, middle, high = np.quantile(there(values, nulls), [0.25, 0.5, 0.75])
    return (values - middle) / (high - low)


SCALERS = [
    (pp.StandardScaler, standard),
    (pp.MinMaxScaler, min_max),
    (pp.MaxAbsScaler, max_abs),
    (pp.RobustScaler, robust),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("scaler", "expected"), SCALERS)
def test_scalers_are_their_formula(scaler, expected, seed):
    dataset, values, nulls = numbers(seed)
    made = scaler(["x"], output_columns=["y"]).fit_transform(dataset).to_arrow()
    assert made.column_names == ["x", "id", "y"]
    wanted = expected(values, nulls)
    near = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(made["y"].to_numpy()[~nulls], wanted[~nulls], **near)
    assert made["y"].is_null().to_numpy().tolist() == nulls.tolist()
    assert made["id"].to_pylist() == list(range(len(values)))


@pytest.mark.parametrize(("scaler", "expected"), SCALERS)
def test_a_batch_is_transformed_as_a_dataset_is(scaler, expected):
    dataset, values, nulls = numbers(9)
    fitted = scaler(["x"]).fit(dataset)
    frame = pd.DataFrame({"x": np.where(nulls, np.nan, values), "other": "o"}, index=range(7, 507))
    before = frame.copy()
    made = fitted.transform_batch(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert list(made.columns) == ["x", "other"]
    assert list(made.index) == list(frame.index)
    wanted = expected(values, nulls)[~nulls]
    np.testing.assert_allclose(made["x"][~nulls], wanted, rtol=1e-12, atol=1e-12)
    table = fitted.transform_batch(pa.table({"x": [1.0, None]}))
    assert isinstance(table, pa.Table)
    assert table["x"].null_count == 1
    arrays = fitted.transform_batch({"x": np.array([1.0])})
    assert arrays["x"].tolist() == table["x"].to_pylist()[:1]


@pytest.mark.parametrize(("scaler", "expected"), SCALERS)
def test_a_constant_column_becomes_zero(scaler, expected):
    dataset = rows(x=[3, 3, None, 3] if scaler is not pp.MaxAbsScaler else [0, 0, None, 0])
    assert scaler(["x"]).fit_transform(dataset).to_arrow()["x"].to_pylist() == [0.0, 0.0, None, 0.0]


@pytest.mark.parametrize(("scaler", "expected"), SCALERS)
def test_a_column_without_values_stays_so(scaler, expected):
    dataset = rows(x=pa.array([None, None], pa.float32()), y=[1.0, 2.0])
    fitted = scaler(["x"]).fit(dataset)
    assert fitted.transform(dataset).to_arrow()["x"].to_pylist() == [None, None]
    [other] = fitted.transform(rows(x=[1.0])).take_all()
    assert math.isnan(other["x"])


@pytest.mark.parametrize(("scaler", "expected"), SCALERS)
@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(20, 2)])
def test_scalers_take_numbers_of_all_types(scaler, expected, kind):
    values = np.array([1.0, 5.0, 2.0, 9.0])
    dataset = rows(x=pa.array([1, 5, 2, 9], pa.int32()).cast(kind))
    made = scaler(["x"]).fit_transform(dataset).take_batch()["x"]
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, expected(values, np.zeros(4, bool)), rtol=1e-12)


@pytest.mark.parametrize(("scaler", "expected"), SCALERS)
def test_texts_are_no_numbers(scaler, expected):
    dataset = rows(x=["1", "2"])
    with pytest.raises((errors.PlanError, TypeError), match=r"`x`"):
        scaler(["x"]).fit_transform(dataset).take_all()


@pytest.mark.parametrize(("scaler", "expected"), SCALERS)
def test_a_column_that_is_not_there(scaler, expected):
    with pytest.raises(errors.ColumnNotFoundError, match=r"`z`"):
        scaler(["z"]).fit(ray.data.range(3))


def test_outputs_that_are_other_inputs_see_the_columns_as_they_were():
    dataset = rows(a=[0.0, 1.0], b=[10.0, 30.0])
    swap = pp.MinMaxScaler(["a", "b"], output_columns=["b", "a"])
    assert swap.fit_transform(dataset).take_all() == [{"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 1.0}]
    chained = pp.MaxAbsScaler(["a", "b"], output_columns=["b", "c"])
    made = chained.fit_transform(dataset).take_all()
    assert made == [
        {"a": 0.0, "b": 0.0, "c": 10 / 30},
        {"a": 1.0, "b": 1.0, "c": 1.0},
    ]


def test_arithmetic_runs_without_python(capsys):
    fitted = pp.StandardScaler(["id"]).fit(ray.data.range(3))
    fitted.transform(ray.data.range(3)).explain()
    printed = capsys.readouterr().out
    assert "WithColumn" in printed
    assert "MapBatches" not in printed


def test_all_columns_are_fitted_in_one_run():
    runs = []

    def seen(batch):
        runs.append(1)
        return batch

    table = {"a": range(40), "b": range(40), "c": ["x", "y"] * 20, "d": ["u", "v"] * 20}
    dataset = rows(**{name: list(column) for name, column in table.items()})
    dataset = dataset.map_batches(seen, batch_size=10, debug=True)
    for fittable in (
        pp.StandardScaler(["a", "b"]),
        pp.MinMaxScaler(["a", "b"]),
        pp.MaxAbsScaler(["a", "b"]),
        pp.RobustScaler(["a", "b"]),
        pp.UniformKBinsDiscretizer(["a", "b"], bins=2),
        pp.SimpleImputer(["a", "b"]),
        pp.SimpleImputer(["c", "d"], strategy="most_frequent"),
        pp.OrdinalEncoder(["c", "d"]),
        pp.OneHotEncoder(["c", "d"]),
        pp.MultiHotEncoder(["c", "d"]),
        pp.Categorizer(["c", "d"]),
        pp.CountVectorizer(["c", "d"]),
    ):
        runs.clear()
        fittable.fit(dataset)
        # The first batch is looked at for the types.
        assert 4 <= len(runs) <= 5, fittable


@pytest.mark.parametrize("seed", range(3))
def test_quantiles_that_are_sorted_by_the_engine_are_the_same(monkeypatch, seed):
    dataset, values, nulls = numbers(seed, 2000)
    monkeypatch.setattr(quantiles_module, "_HELD_MOST", 700)
    fractions = [0.0, 0.1, 0.25, 0.5, 0.777, 1.0]
    found = quantiles_module.quantiles(dataset, ["x", "id"], fractions)
    np.testing.assert_allclose(found["x"], np.quantile(there(values, nulls), fractions), rtol=1e-12)
    np.testing.assert_allclose(found["id"], np.quantile(np.arange(2000), fractions), rtol=1e-12)


@pytest.mark.parametrize("held", [0, 100])
def test_quantiles_of_infinite_values(monkeypatch, held):
    monkeypatch.setattr(quantiles_module, "_HELD_MOST", held)
    values = [-math.inf, 1.0, math.inf, math.inf, math.nan]
    found = quantiles_module.quantiles(rows(x=values), ["x"], [0, 0.3, 0.5, 0.9])
    assert found == {"x": [-math.inf, -math.inf, math.inf, math.inf]}


def test_quantiles_of_nothing(monkeypatch):
    empty = rows(x=pa.array([None] * 10, pa.float64()))
    assert quantiles_module.quantiles(empty, ["x"], [0.5]) == {"x": [None]}
    monkeypatch.setattr(quantiles_module, "_HELD_MOST", 1)
    assert quantiles_module.quantiles(empty, ["x"], [0.5]) == {"x": [None]}


@pytest.mark.parametrize("wanted", [(0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)])
def test_a_range_of_quantiles_that_is_none(wanted):
    with pytest.raises(errors.PlanError) as caught:
        pp.RobustScaler(["x"], quantile_range=wanted)
    assert str(caught.value) == (
        f"`quantile_range` must be two rising numbers from 0 to 1, got `{wanted!r}`"
    )


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normalizer_is_its_formula(norm):
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(300, 3))
    mask = rng.random((300, 3)) < 0.1
    columns = {f"c{i}": pa.array(matrix[:, i], mask=mask[:, i]) for i in range(3)}
    dataset = rows(**columns, other=["o"] * 300)
    made = pp.Normalizer(list(columns), norm).transform(dataset).to_arrow()
    known = np.where(mask, 0.0, matrix)
    norms = {
        "l1": np.abs(known).sum(axis=1),
        "l2": np.sqrt((known**2).sum(axis=1)),
        "max": np.abs(known).max(axis=1),
    }[norm]
    for i in range(3):
        column = made[f"c{i}"]
        assert column.is_null().to_numpy().tolist() == mask[:, i].tolist()
        kept = ~mask[:, i]
        np.testing.assert_allclose(
            column.to_numpy()[kept], matrix[kept, i] / norms[kept], rtol=1e-12
        )
    assert made["other"].to_pylist() == ["o"] * 300


def test_a_row_of_zeros_has_no_direction():
    made = pp.Normalizer(["a", "b"]).transform(rows(a=[0, 3], b=[0, 4])).take_batch()
    np.testing.assert_array_equal(made["a"], [np.nan, 0.6])


@pytest.mark.parametrize("power", [-1.5, 0, 0.5, 1, 2, 3])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_power_transforms_are_their_formula(method, power):
    values = np.array([-3.5, -1.0, -0.25, 0.0, 0.25, 1.0, 7.5, np.nan, np.inf])
    made = pp.PowerTransformer(["x"], power, method, output_columns=["y"])
    table = made.transform(rows(x=values)).to_arrow()

    def box_cox(x, p):
        return (np.power(x, p) - 1) / p if p else np.log(x)

    with np.errstate(all="ignore"):
        wanted = box_cox(values, float(power))
        if method == "yeo-johnson":
            wanted = np.where(
                values >= 0,
                box_cox(values + 1, float(power)),
                -box_cox(1 - values, 2.0 - power),
            )
    np.testing.assert_allclose(table["y"].to_numpy(), wanted, rtol=1e-12)
    np.testing.assert_allclose(made.transform_batch({"x": values})["y"], wanted, rtol=1e-12)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("include_lowest", [True, False])
def test_cutting_is_pandas_cut(right, include_lowest):
    values = [0.0, 0.2, 1.0, 1.4, 4.0, 9.7, 10.0, 12.0, None]
    cutter = pp.CustomKBinsDiscretizer(
        ["x"], bins=[0, 1, 4, 10], right=right, include_lowest=include_lowest
    )
    made = cutter.transform(rows(x=values)).to_arrow()["x"]
    wanted = pd.cut(
        pd.Series(values, dtype=float),
        [0, 1, 4, 10],
        right=right,
        include_lowest=include_lowest,
        labels=False,
    )
    assert made.type == pa.int64()
    assert made.to_pylist() == [None if math.isnan(one) else int(one) for one in wanted]


@pytest.mark.parametrize("right", [True, False])
def test_uniform_cuts_hold_all_values(right):
    values = [0.2, 1.4, 2.5, 6.2, 9.7, 2.1]
    dataset = rows(x=values, y=[10, 15, 13, 12, 23, 25], z=[5] * 6)
    cutter = pp.UniformKBinsDiscretizer(["x", "y", "z"], bins={"x": 4, "y": 3, "z": 2}, right=right)
    made = cutter.fit_transform(dataset).to_arrow()
    for name, bins in {"x": 4, "y": 3, "z": 2}.items():
        column = dataset.to_arrow()[name].to_pandas()
        wanted = pd.cut(column, bins, labels=False, right=right).tolist()
        assert made[name].to_pylist() == wanted


def test_intervals_of_pandas_and_names_for_them():
    index = pd.IntervalIndex.from_tuples([(0, 1), (2, 5)])
    dataset = rows(x=[0.5, 1.5, 3.0], y=[0.5, 1.5, 3.0])
    kind = pd.CategoricalDtype(["low", "high"], ordered=True)
    cutter = pp.CustomKBinsDiscretizer(
        ["x", "y"], {"x": index, "y": [0, 1, 5]}, dtypes={"y": kind, "x": np.int8}
    )
    made = cutter.transform(dataset).to_arrow()
    assert made["x"].to_pylist() == [0, None, 1]
    assert made["x"].type == pa.int8()
    assert made["y"].to_pylist() == ["low", "high", "high"]
    assert made["y"].type.ordered


def test_bins_that_do_not_fit():
    with pytest.raises(errors.PlanError, match=r"^`bins` has none for column `y`"):
        pp.CustomKBinsDiscretizer(["x", "y"], {"x": [0, 1]})
    with pytest.raises(errors.PlanError, match=r"^`bins` must be an int of at least 1"):
        pp.UniformKBinsDiscretizer(["id"], bins=[1, 2])
    with pytest.raises(errors.PlanError, match=r"^`bins` must be edges of intervals, got `3`"):
        pp.CustomKBinsDiscretizer(["x"], {"x": 3})
    with pytest.raises(errors.PlanError, match=r"has infinite values"):
        pp.UniformKBinsDiscretizer(["x"], bins=2).fit(rows(x=[0.0, math.inf]))
    with pytest.raises(errors.PlanError, match=r"has no values to be cut"):
        pp.UniformKBinsDiscretizer(["x"], bins=2).fit(rows(x=pa.array([None], pa.int64())))
    with pytest.raises(errors.PlanError, match=r"holds no numbers"):
        pp.UniformKBinsDiscretizer(["x"], bins=2).fit(rows(x=["a"]))


def test_imputing_the_mean():
    dataset = rows(x=[0, None, 3, 3], y=[1.5, None, float("nan"), 2.5], z=[1, 2, 3, 4])
    made = pp.SimpleImputer(["x", "y", "z"]).fit_transform(dataset).to_arrow()
    assert made["x"].to_pylist() == [0.0, 2.0, 3.0, 3.0]
    assert made["y"].to_pylist() == [1.5, 2.0, 2.0, 2.5]
    assert made["z"].to_pylist() == [1.0, 2.0, 3.0, 4.0]


def test_imputing_the_most_frequent():
    dataset = rows(x=[0, None, 3, 3], y=[None, "b", "c", "c"], tie=["a", "b", None, None])
    imputer = pp.SimpleImputer(["x", "y", "tie"], strategy="most_frequent").fit(dataset)
    assert imputer.stats_ == {
        "most_frequent(x)": 3,
        "most_frequent(y)": "c",
        "most_frequent(tie)": "b",
    }
    made = imputer.transform(dataset).to_arrow()
    assert made["x"].to_pylist() == [0, 3, 3, 3]
    assert made["x"].type == pa.int64()
    assert made["y"].to_pylist() == ["c", "b", "c", "c"]
    assert made["tie"].to_pylist() == ["a", "b", "b", "b"]


def test_imputing_a_constant():
    dataset = rows(x=[1, None], y=[None, "b"], n=[None, None])
    made = pp.SimpleImputer(["x"], "constant", 0.5).transform(dataset).to_arrow()
    assert made["x"].to_pylist() == [1.0, 0.5]
    made = pp.SimpleImputer(["y", "n", "new"], "constant", "?").transform(dataset).to_arrow()
    assert made["y"].to_pylist() == ["?", "b"]
    assert made["n"].to_pylist() == ["?", "?"]
    assert made["new"].to_pylist() == ["?", "?"]
    appended = pp.SimpleImputer(["x"], "constant", 7, output_columns=["z"]).transform(dataset)
    assert appended.select_columns(["x", "z"]).take_all() == [{"x": 1, "z": 1}, {"x": None, "z": 7}]
    with pytest.raises(ValueError, match=r"column `x` of type `int64` cannot hold a `string`"):
        pp.SimpleImputer(["x"], "constant", "?").transform(dataset).take_all()


def test_imputing_from_nothing():
    imputer = pp.SimpleImputer(["x"]).fit(rows(x=pa.array([None, None], pa.float64())))
    with pytest.raises(ValueError, match=r"column `x` had no values that it could be filled from"):
        imputer.transform(rows(x=[1.0]))
    with pytest.raises(errors.PlanError, match=r"needs a `fill_value`"):
        pp.SimpleImputer(["x"], strategy="constant")
    with pytest.raises(errors.PlanError, match=r"there is no strategy `'median'`"):
        pp.SimpleImputer(["x"], strategy="median")


class Shifted(Preprocessor):
    def __init__(self, by):
        self.by = by

    def _fit(self, ds):
        self.stat_computation_plan.add_aggregator(aggregator_fn=Mean, columns=["id"])
        self.stat_computation_plan.add_aggregator(
            aggregator_fn=Max, columns=["id"], post_process_fn=str
        )
        return self

    def _transform_pandas(self, df):
        df["id"] = df["id"] - self.stats_["mean(id)"] + self.by
        return df


def test_a_preprocessor_of_ones_own():
    own = Shifted(10)
    with pytest.raises(PreprocessorNotFittedException, match=r"`Shifted` is not fitted: call"):
        own.transform(ray.data.range(3))
    with pytest.raises(RuntimeError, match=r"before `transform_batch`"):
        own.transform_batch({"id": np.arange(3)})
    assert own.fit_status() is Preprocessor.FitStatus.NOT_FITTED
    assert not own.has_stats()
    assert own.fit(ray.data.range(3)) is own
    assert own.stats_ == {"mean(id)": 1.0, "max(id)": "2"}
    assert own.fit_status() == "FITTED"
    made = own.transform(ray.data.range(3), batch_size=2, concurrency=1).take_all()
    assert made == [{"id": 9.0}, {"id": 10.0}, {"id": 11.0}]
    frame = pd.DataFrame({"id": [1]})
    assert own.transform_batch(frame)["id"].tolist() == [10.0]
    assert frame["id"].tolist() == [1]
    assert own.transform_batch({"id": np.array([1])})["id"].tolist() == [10.0]


def test_what_is_kept_may_be_anything():
    class Highest(Preprocessor):
        def _fit(self, ds):
            self.stats_ = ds.max("id")

        def _transform_numpy(self, batch):
            assert isinstance(batch["id"], range)
            return {"id": [one / self.stats_ for one in batch["id"]]}

    highest = Highest().fit(ray.data.range(5))
    assert highest.transform_batch({"id": range(3)}) == {"id": [0.0, 0.25, 0.5]}


def test_fitting_again_forgets_and_says_so():
    own = Shifted(0).fit(ray.data.range(3))
    with pytest.warns(UserWarning, match=r"`Shifted` is fitted already") as caught:
        own.fit(ray.data.range(5))
    assert caught[0].filename == __file__
    assert own.stats_["mean(id)"] == 2.0


def test_what_is_no_preprocessor_yet():
    class Nothing(Preprocessor):
        pass

    with pytest.raises(errors.PlanError, match=r"`Nothing` does not say how it is fitted"):
        Nothing().fit(ray.data.range(3))
    Nothing._is_fittable = False
    nothing = Nothing()
    assert nothing.fit(ray.data.range(3)) is nothing
    with pytest.raises(errors.PlanError, match=r"`Nothing` does not say what becomes of a batch"):
        nothing.transform(ray.data.range(3))
    with pytest.raises(errors.PlanError, match=r"a batch must be a data frame, a table or a dict"):
        Shifted(1).fit(ray.data.range(3)).transform_batch([1, 2])


def test_the_preferred_format_wins():
    class Both(Preprocessor):
        _is_fittable = False

        def _transform_pandas(self, df):
            return df.assign(how="pandas")

        def _transform_numpy(self, batch):
            return {**batch, "how": ["numpy"] * len(batch["id"])}

    class Arrays(Both):
        @classmethod
        def preferred_batch_format(cls):
            return "numpy"

    assert Both().transform(ray.data.range(1)).take_all() == [{"id": 0, "how": "pandas"}]
    assert Arrays().transform(ray.data.range(1)).take_all() == [{"id": 0, "how": "numpy"}]


def test_errors_of_a_preprocessor_name_it():
    joined = pp.Concatenator(["x"], flatten=True).transform(rows(x=[[1], [1, 2]]), batch_size=2)
    with pytest.raises(ValueError, match=r"of different lengths") as caught:
        joined.take_all()
    assert caught.value.stage == "MapBatches(Concatenator)"


def test_a_chain_fits_each_on_what_comes_before():
    dataset = rows(x=[0.0, 4.0, None], y=["b", "a", "b"])
    chain = pp.Chain(
        pp.SimpleImputer(["x"], "constant", 2.0),
        pp.MinMaxScaler(["x"]),
        pp.OrdinalEncoder(["y"]),
        pp.Concatenator(["x", "y"], output_column_name="xy"),
    )
    assert chain.fit_status() == "NOT_FITTED"
    with pytest.raises(PreprocessorNotFittedException):
        chain.transform(dataset)
    made = chain.fit_transform(dataset)
    assert made.take_batch()["xy"].tolist() == [[0.0, 1.0], [1.0, 0.0], [0.5, 1.0]]
    assert chain.fit_status() == "FITTED"
    assert chain.has_stats()
    assert chain.get_input_columns() == ["x", "y"]
    assert chain.get_output_columns() == ["x", "y", "xy"]
    batch = chain.transform_batch(pd.DataFrame({"x": [4.0], "y": ["a"]}))
    assert batch["xy"][0].tolist() == [1.0, 0.0]
    with pytest.warns(UserWarning, match=r"`Chain` is fitted already") as caught:
        chain.fit(dataset)
    assert len(caught) == 1
    copied = Preprocessor.deserialize(chain.serialize())
    assert copied.transform(dataset).take_batch()["xy"].tolist() == made.take_batch()["xy"].tolist()


def test_a_chain_that_is_fitted_in_part():
    chain = pp.Chain(pp.MinMaxScaler(["id"]).fit(ray.data.range(3)), pp.OrdinalEncoder(["id"]))
    assert chain.fit_status() == "PARTIALLY_FITTED"
    with pytest.raises(PreprocessorNotFittedException):
        chain.transform_batch({"id": np.arange(3)})
    outer = pp.Chain(pp.Tokenizer(["t"]), chain)
    assert outer.fit_status() == "PARTIALLY_FITTED"
    assert pp.Chain(pp.Tokenizer(["t"])).fit_status() == "NOT_FITTABLE"


def test_what_is_no_chain():
    with pytest.raises(errors.PlanError, match=r"^a `Chain` needs at least one preprocessor$"):
        pp.Chain()
    with pytest.raises(errors.PlanError, match=r"^a `Chain` takes preprocessors, got `3`$"):
        pp.Chain(3)


def every_preprocessor():
    dataset = rows(x=[1.0, 2.0], y=["a", "b"])
    return [
        one.fit(dataset)
        for one in (
            pp.StandardScaler(["x"]),
            pp.MinMaxScaler(["x"], output_columns=["z"]),
            pp.MaxAbsScaler(["x"]),
            pp.RobustScaler(["x"], (0.1, 0.9)),
            pp.Normalizer(["x"], "l1"),
            pp.PowerTransformer(["x"], 2),
            pp.CustomKBinsDiscretizer(["x"], [0, 1, 2]),
            pp.UniformKBinsDiscretizer(["x"], 2),
            pp.SimpleImputer(["x"]),
            pp.SimpleImputer(["y"], "constant", "?"),
            pp.OrdinalEncoder(["y"]),
            pp.OneHotEncoder(["y"], max_categories={"y": 1}),
            pp.MultiHotEncoder(["y"]),
            pp.LabelEncoder("y", output_column="z"),
            pp.Categorizer(["y"]),
            pp.Tokenizer(["y"]),
            pp.CountVectorizer(["y"]),
            pp.HashingVectorizer(["y"], 4),
            pp.FeatureHasher(["x"], 4, "hashed"),
            pp.Concatenator(["x"], dtype=np.float32),
        )
    ]


@pytest.mark.parametrize("one", every_preprocessor(), ids=lambda one: type(one).__name__)
def test_each_preprocessor_is_the_same_after_a_journey(one):
    table = pa.table({"x": [1.0, 2.0, 1.5], "y": ["b", "a", "a"]})
    wanted = one.transform_batch(table)
    for other in (type(one).deserialize(one.serialize()), pickle.loads(pickle.dumps(one))):
        assert type(other) is type(one)
        assert repr(other) == repr(one)
        assert other.fit_status() == one.fit_status()
        assert other.transform_batch(table).equals(wanted)
    with pytest.raises(AttributeError, match=f"of `{type(one).__name__}` cannot be changed"):
        setattr(one, serialization.arguments_of(type(one))[0], ["z"])
    names = dict.fromkeys([*table.column_names, *one.get_output_columns()])
    gone = set(one.get_input_columns()) if isinstance(one, pp.Concatenator) else set()
    assert wanted.column_names == [name for name in names if name not in gone]


def test_how_they_print():
    assert repr(pp.RobustScaler(["x"])) == (
        "RobustScaler(columns=['x'], quantile_range=(0.25, 0.75), output_columns=['x'], "
        "quantile_precision=800)"
    )
    chain = pp.Chain(pp.Tokenizer(["t"], str.split), pp.LabelEncoder("y"))
    assert repr(chain) == (
        "Chain(Tokenizer(columns=['t'], tokenization_fn=split, output_columns=['t']), "
        "LabelEncoder(label_column='y', output_column='y'))"
    )


def test_classes_that_ray_has_in_another_module():
    from raceline.data import preprocessor

    assert preprocessor.SerializablePreprocessorBase is pp.SerializablePreprocessorBase
    assert preprocessor.SerializationFormat.PICKLE.value == "pickle"
    with pytest.raises(AttributeError, match=r"has no attribute `Nothing`"):
        _ = preprocessor.Nothing


def test_what_is_no_serialized_preprocessor():
    for wrong in (b"", "", "!", b"CPKL:rubbish", pickle.dumps(3), 3, None):
        with pytest.raises(ValueError, match=r"serialized preprocessor"):
            Preprocessor.deserialize(wrong)

    @pp.SerializablePreprocessor(version=2, identifier="test.gone")
    class Gone(pp.SerializablePreprocessorBase):
        _is_fittable = False

        def _get_serializable_fields(self):
            return {"kept": 1}

        def _set_serializable_fields(self, fields, version):
            self.kept = (fields["kept"], version)

    kept = Gone().serialize()
    assert Gone.deserialize(kept).kept == (1, 2)
    del serialization._classes["test.gone"]
    with pytest.raises(pp.UnknownPreprocessorError, match=r"no preprocessor `test.gone`") as caught:
        Gone.deserialize(kept)
    assert caught.value.preprocessor_type == "test.gone"
    with pytest.raises(TypeError, match=r"must derive from `SerializablePreprocessorBase`"):
        pp.SerializablePreprocessor(version=1, identifier="x")(Shifted)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: pp.StandardScaler([]), "`columns` names no column"),
        (lambda: pp.StandardScaler(["a", "a"]), "column `a` is named twice"),
        (lambda: pp.StandardScaler([3]), "a column's name must be a string, got `3`"),
        (
            lambda: pp.StandardScaler(["a"], output_columns=["b", "c"]),
            "`output_columns` has 2 names for 1 columns\n"
            "  hint: give one name for each column, or leave it out to change the columns in place",
        ),
        (
            lambda: pp.Normalizer(["a"], "l3"),
            'there is no norm `\'l3\'`\n  hint: pass "l1", "l2" or "max"',
        ),
        (
            lambda: pp.PowerTransformer(["a"], 1, "cube"),
            'there is no method `\'cube\'`\n  hint: pass "yeo-johnson" or "box-cox"',
        ),
        (lambda: pp.PowerTransformer(["a"], "2"), "`power` must be a number, got `'2'`"),
        (
            lambda: pp.OneHotEncoder(["a"], max_categories={"b": 2}),
            "`max_categories` names `b`, which is none of `columns`",
        ),
        (
            lambda: pp.HashingVectorizer(["a"], 0),
            "`num_features` must be an int of at least 1, got `0`",
        ),
        (
            lambda: pp.CustomKBinsDiscretizer(["a"], [0, 1], duplicates="keep"),
            '`duplicates` must be "raise" or "drop", got `\'keep\'`',
        ),
    ],
)
def test_arguments_are_refused_at_once(make, text):
    with pytest.raises(errors.PlanError) as caught:
        make()
    assert str(caught.value) == text


def test_nothing_is_warned_of_in_ordinary_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one in every_preprocessor():
            one.transform(rows(x=[1.0], y=["a"]))
            one.transform_batch(pd.DataFrame({"x": [1.0], "y": ["a"]}))
