"""Mixing datasets, and seeds of which each run makes another choice."""

import collections
import math

import pytest

import raceline
from raceline.data import MixStoppingCondition, RandomSeedConfig
from raceline.errors import PlanError

SHORTEST = MixStoppingCondition.STOP_ON_SHORTEST


def tagged(name, rows):
    return raceline.range(rows).map(lambda row: {"of": name, "n": row["id"]})


def names(dataset):
    return "".join(row["of"] for row in dataset.take_all())


def test_rows_are_interleaved_by_weights():
    a, b = tagged("a", 6), tagged("b", 6)
    assert names(a.mix(b)) == "ab" * 6
    assert names(a.mix(b, weights=[2, 1])) == "aabaabaab" + "bbb"
    assert names(a.mix(b, weights=[1, 2]).limit(6)) == "babbab"
    assert names(a.mix([b, tagged("c", 2)])) == "abcabc" + "ab" * 4


def test_any_stretch_has_the_datasets_in_proportion():
    mixed = tagged("a", 40_000).mix(tagged("b", 30_000), tagged("c", 10_000), weights=[4, 3, 1])
    found = names(mixed)
    assert len(found) == 80_000
    for first in range(0, 79_000, 800):
        counts = collections.Counter(found[first : first + 800])
        assert abs(counts["a"] - 400) <= 1
        assert abs(counts["b"] - 300) <= 1


def test_each_dataset_keeps_its_order_and_all_its_rows():
    rows = tagged("a", 10_000).mix(tagged("b", 500), weights=[0.3, 0.7]).take_all()
    for name, count in (("a", 10_000), ("b", 500)):
        assert [row["n"] for row in rows if row["of"] == name] == list(range(count))


def test_a_mix_can_end_with_its_first_dataset():
    few, many = tagged("a", 3), tagged("b", 100)
    assert names(few.mix(many, stopping_condition=SHORTEST)) == "ababab"
    assert names(few.mix(many, stopping_condition="stop_on_shortest")) == "ababab"
    assert few.mix(many).count() == 103
    assert raceline.range(3).mix(raceline.range(5)).count() == 8
    endless = raceline.range(10**12)
    assert raceline.range(2).mix(endless, stopping_condition=SHORTEST).count() == 4


def test_a_mix_goes_on_to_the_last_row_unless_told_otherwise():
    a, b = tagged("a", 2), tagged("b", 5)
    longest = MixStoppingCondition.STOP_ON_LONGEST_DROP
    assert longest is MixStoppingCondition("stop_on_longest_drop")
    assert names(a.mix(b, stopping_condition=longest)) == names(a.mix(b)) == "ababbbb"
    assert names(a.mix(b, stopping_condition=SHORTEST)) == "abab"


def test_columns_are_united():
    mixed = raceline.from_items([{"a": 1}]).mix(raceline.from_items([{"a": 1.5, "b": "x"}]))
    assert mixed.take_all() == [{"a": 1.0, "b": None}, {"a": 1.5, "b": "x"}]
    assert mixed.columns() == ["a", "b"]
    opaque = raceline.range(2).map(lambda row: {"a": row["id"]})
    other = raceline.range(2).map(lambda row: {"b": [row["id"]]})
    assert opaque.mix(other).take_all()[:2] == [{"a": 0, "b": None}, {"a": None, "b": [0]}]


def test_empty_datasets_and_rows_without_columns_are_mixed():
    assert raceline.range(0).mix(raceline.range(2)).take_all() == [{"id": 0}, {"id": 1}]
    assert raceline.range(0).mix(raceline.range(0)).take_all() == []
    assert raceline.range(0).mix(raceline.range(0)).columns() == ["id"]
    bare = raceline.range(5).select_columns([])
    assert bare.mix(bare).count() == 10
    assert raceline.range(3).mix().count() == 3


def test_tensors_and_large_rows_are_mixed():
    import numpy as np

    a = raceline.from_numpy(np.zeros((300, 64, 64)))
    b = raceline.from_numpy(np.ones((300, 64, 64)))
    means = [row["data"].mean() for row in a.mix(b).iter_rows()]
    assert means == [0, 1] * 300


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ([1], "1 weights are given for 2 datasets"),
        ([1, 0], "a weight must be a positive number, got `0`"),
        ([1, math.inf], "a weight must be a positive number, got `inf`"),
        ([1, "2"], "a weight must be a positive number, got `'2'`"),
    ],
)
def test_wrong_weights_are_refused(weights, text):
    with pytest.raises(PlanError) as caught:
        raceline.range(1).mix(raceline.range(1), weights=weights)
    assert str(caught.value) == text
    assert isinstance(caught.value, ValueError)


def test_wrong_arguments_are_refused():
    with pytest.raises(PlanError, match="there is no stopping condition `'soon'`"):
        raceline.range(1).mix(raceline.range(1), stopping_condition="soon")
    with pytest.raises(PlanError, match="`mix`"):
        raceline.range(1).mix([1])


ORDERS = {
    "shuffle": lambda seed: raceline.range(1000).random_shuffle(seed=seed),
    "window": lambda seed: raceline.range(1000).random_shuffle(seed=seed, window_rows=100),
    "blocks": lambda seed: raceline.range(1000).repartition(50).randomize_block_order(seed=seed),
    "sample": lambda seed: raceline.range(1000).random_sample(0.3, seed=seed),
}


@pytest.mark.parametrize("make", ORDERS.values(), ids=ORDERS.keys())
def test_seeds_are_taken_anew_by_each_run_where_that_is_asked_for(make):
    config = RandomSeedConfig(seed=7)
    first, second = make(config), make(config)
    epochs = [first.take_all() for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert [second.take_all() for _ in range(3)] == epochs
    assert make(RandomSeedConfig(seed=8)).take_all() != epochs[0]
    fixed = make(RandomSeedConfig(seed=7, reseed_after_execution=False))
    assert fixed.take_all() == fixed.take_all()
    assert make(7).take_all() == make(7).take_all()
    free = make(RandomSeedConfig())
    assert free.take_all() != free.take_all()


def test_wrong_seeds_are_refused():
    with pytest.raises(ValueError, match="`seed` must be an int from 0"):
        RandomSeedConfig(seed=-1)
    with pytest.raises(ValueError, match="`seed` must be an int from 0"):
        raceline.range(3).random_shuffle(seed="x")
