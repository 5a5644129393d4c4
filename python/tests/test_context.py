"""`DataContext`, `ExecutionOptions` and `ExecutionResources` as programs for Ray Data use them."""

import copy
import dataclasses
import math
import os
import pickle
import subprocess
import sys
import warnings

import pytest

import raceline as ray
from raceline.data import DataContext, DatasetContext, ExecutionOptions, ExecutionResources
from raceline.data import settings as settings_module
from raceline.data.compute import ActorPoolStrategy, WorkerCount
from raceline.data.context import ShuffleStrategy

EFFECTIVE = {
    "_configs",
    "enable_progress_bars",
    "enable_stats_summary_collection",
    "execution_no_progress_timeout_s",
    "execution_options",
    "execution_timeout_s",
    "max_errored_blocks",
    "max_tasks_in_flight_per_actor",
    "stall_report_s",
}
FIELDS = [one.name for one in dataclasses.fields(DataContext)]


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(settings_module, "_told", set())


def warnings_of(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [(str(one.message), one.filename) for one in caught]


def test_each_field_has_an_effect_or_a_reason():
    assert len(FIELDS) > 70
    assert set(FIELDS) == EFFECTIVE | DataContext._no_effect.keys()
    assert EFFECTIVE.isdisjoint(DataContext._no_effect)


@pytest.mark.parametrize("name", sorted(set(FIELDS) - EFFECTIVE))
def test_a_field_without_effect_says_so_once_and_keeps_its_value(name):
    context, value = DataContext(), object()

    def assign():
        setattr(context, name, value)
        setattr(context, name, None)
        setattr(context, name, value)

    [(text, filename)] = warnings_of(assign)
    assert text == f"`DataContext.{name}` has no effect: {DataContext._no_effect[name]}"
    assert filename == __file__
    assert getattr(context, name) is value


def test_assigning_what_there_is_says_nothing():
    context = DataContext()
    assert not warnings_of(lambda: setattr(context, "target_max_block_size", 128 << 20))


def test_fields_with_effect_say_nothing():
    def assign():
        context = DataContext(enable_progress_bars=False, max_errored_blocks=3)
        context.max_errored_blocks = -1
        context.execution_options = ExecutionOptions(preserve_order=True)
        context.execution_options.preserve_order = False

    assert not warnings_of(assign)


def test_the_constructor_says_it_as_well():
    [(text, filename)] = warnings_of(lambda: DataContext(target_max_block_size=1))
    assert text.startswith("`DataContext.target_max_block_size` has no effect: batches are cut")
    assert filename == __file__


def test_unknown_attributes_are_taken_as_by_ray():
    context = DataContext()
    assert not warnings_of(lambda: setattr(context, "_my_flag", 3))
    assert context._my_flag == 3
    assert context.copy()._my_flag == 3


def test_the_names_of_shuffles_are_those_of_ray():
    context = DataContext()
    assert not warnings_of(lambda: setattr(context, "shuffle_strategy", "shuffle_v2"))
    wanted = ShuffleStrategy.HASH_SHUFFLE
    assert len(warnings_of(lambda: setattr(context, "shuffle_strategy", wanted))) == 1
    assert context.shuffle_strategy == "hash_shuffle"


def test_a_copy_shares_nothing():
    context = DataContext()
    context.set_config("a", [1])
    other = context.copy()
    other.max_errored_blocks = 7
    other.execution_options.preserve_order = False
    other.get_config("a").append(2)
    assert context.max_errored_blocks == 0
    assert context.execution_options.preserve_order
    assert context.get_config("a") == [1]
    assert pickle.loads(pickle.dumps(other)).max_errored_blocks == 7


def test_another_context_for_a_while():
    before = DataContext.get_current()
    other = before.copy()
    with DataContext.current(other) as inside:
        assert inside is other
        assert DataContext.get_current() is other
    assert DataContext.get_current() is before
    with pytest.raises(KeyError), DataContext.current(other):
        raise KeyError
    assert DataContext.get_current() is before


def test_settings_of_a_while_are_those_of_the_runs_in_it(capfd):
    def fail(batch):
        if 0 in batch["id"]:
            raise ValueError("no")
        return batch

    rows = ray.data.range(4).map_batches(fail, batch_size=2)
    patient = DataContext.get_current().copy()
    patient.max_errored_blocks = 1
    with DataContext.current(patient):
        assert rows.count() == 2
    with pytest.raises(ValueError, match="no"):
        rows.count()
    assert "no" in capfd.readouterr().err


def test_configs():
    context = DataContext()
    assert context.get_config("k") is None
    context.set_config("k", 1)
    assert context.get_config("k", 2) == 1
    context.remove_config("k")
    context.remove_config("k")
    assert context.get_config("k", 2) == 2


def test_ray_s_other_name():
    assert DatasetContext is DataContext


def test_the_environment_turns_progress_off():
    text = "import raceline.data as d\nprint(d.DataContext.get_current().enable_progress_bars)"
    answers = []
    for value in ("0", "1"):
        env = {**os.environ, "RAY_DATA_DISABLE_PROGRESS_BARS": value}
        run = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, check=True, env=env
        )
        answers.append(run.stdout.strip())
    assert answers == ["True", "False"]


def test_options_without_effect_say_so():
    options = ExecutionOptions()
    excluded = ExecutionResources(cpu=1)
    [(text, filename)] = warnings_of(lambda: setattr(options, "exclude_resources", excluded))
    assert text.startswith("`ExecutionOptions.exclude_resources` has no effect: `raceline.init(")
    assert filename == __file__
    ray.shutdown()
    options.resource_limits = ExecutionResources(cpu=2)
    with pytest.raises(ValueError, match=r"`cpu` is both in `resource_limits` and in"):
        options.validate()


def test_limits_that_are_given_set_no_others():
    ray.shutdown()
    options = ExecutionOptions()
    assert options.is_resource_limits_default()
    options.resource_limits = ExecutionResources(cpu=2)
    assert options.resource_limits == ExecutionResources.for_limits(cpu=2)
    assert not options.is_resource_limits_default()
    options.resource_limits = options.resource_limits.copy(gpu=1)
    assert options.resource_limits == ExecutionResources.for_limits(cpu=2, gpu=1)
    options.validate()
    made = ExecutionOptions(resource_limits=ExecutionResources(memory=5))
    assert made.resource_limits == ExecutionResources.for_limits(memory=5)
    with pytest.raises(ray.errors.PlanError, match=r"must be `ExecutionResources`, got `2`"):
        options.resource_limits = 2


def resources_under(limits, **init):
    """What a session has that starts under limits."""
    ray.shutdown()
    ray.init(**init)
    context = DataContext.get_current().copy()
    context.execution_options.resource_limits = limits
    with DataContext.current(context):
        found = ray.cluster_resources()
    ray.shutdown()
    return found


def test_limits_bound_the_session_that_starts_later():
    limits = ExecutionResources(cpu=1, gpu=2, memory=1 << 28)
    found = resources_under(limits, num_cpus=2, num_gpus=4, memory=1 << 30)
    assert (found["CPU"], found["GPU"], found["memory"]) == (1, 2, 1 << 28)
    ample = ExecutionResources(cpu=99, gpu=99, memory=1 << 50)
    found = resources_under(ample, num_cpus=2, num_gpus=4, memory=1 << 30)
    assert (found["CPU"], found["GPU"], found["memory"]) == (2, 4, 1 << 30)


def test_limits_that_come_too_late_say_so():
    ray.data.range(1)
    options = ExecutionOptions()
    limits = ExecutionResources(cpu=1)
    [(text, filename)] = warnings_of(lambda: setattr(options, "resource_limits", limits))
    assert text.startswith("`resource_limits` are asked for when a session starts")
    assert filename == __file__
    assert not warnings_of(lambda: setattr(options, "resource_limits", limits))


def test_batches_in_flight_are_those_of_the_context():
    context = DataContext.get_current().copy()
    context.max_tasks_in_flight_per_actor = 3
    pools = [ActorPoolStrategy(), ActorPoolStrategy(max_tasks_in_flight_per_actor=7)]

    def counts():
        return [WorkerCount.resolve(one, None, stateful=True).in_flight for one in pools]

    assert counts() == [None, 7]
    with DataContext.current(context):
        assert counts() == [3, 7]
        context.max_tasks_in_flight_per_actor = 0
        with pytest.raises(ray.errors.PlanError, match=r"`max_tasks_in_flight_per_actor` must be"):
            counts()


@pytest.mark.parametrize(
    ("made", "amounts"),
    [
        (ExecutionResources(), (0, 0, 0, 0)),
        (ExecutionResources.zero(), (0, 0, 0, 0)),
        (ExecutionResources.inf(), (math.inf,) * 4),
        (ExecutionResources.for_limits(gpu=0), (math.inf, 0, math.inf, math.inf)),
        (ExecutionResources(0.123456789, None, 1.4, 2.6), (0.12346, 0, 1, 3)),
        (ExecutionResources.from_resource_dict({"num_cpus": 2, "memory": 3}), (2, 0, 0, 3)),
        (ExecutionResources(1, 2, 3, 4).copy(memory=0, gpu=5), (1, 5, 3, 0)),
        (ExecutionResources(1, 2, 3, 4).scale(0.5), (0.5, 1, 2, 2)),
        (ExecutionResources.inf().scale(0), (0, 0, 0, 0)),
        (ExecutionResources(7, 1, 9, 0).floordiv(ExecutionResources(2, 1, 4, 0)), (3, 1, 2, None)),
        (ExecutionResources.combine_sum([]), (0, 0, 0, 0)),
    ],
)
def test_amounts(made, amounts):
    expected = tuple(math.inf if one is None else one for one in amounts)
    assert (made.cpu, made.gpu, made.object_store_memory, made.memory) == expected
    assert ExecutionResources.from_resource_dict(made.to_resource_dict()) == made
    assert hash(copy.copy(made)) == hash(made)


def test_amounts_are_values():
    one, other = ExecutionResources(cpu=1, gpu=2), ExecutionResources(cpu=3, gpu=1)
    assert one.add(other) == ExecutionResources(cpu=4, gpu=3)
    assert one.subtract(other) == ExecutionResources(cpu=-2, gpu=1)
    assert not one.subtract(other).is_non_negative()
    assert one.max(other) == ExecutionResources(cpu=3, gpu=2)
    assert one.min(other) == ExecutionResources(cpu=1, gpu=1)
    assert one != other
    assert one != "cpu"
    with pytest.raises(AttributeError):
        one.cpu = 3
    with pytest.raises(ValueError, match="the factor must be at least 0, got `-1`"):
        one.scale(-1)


def test_limits_are_met():
    needed = ExecutionResources(cpu=1, object_store_memory=10)
    assert needed.satisfies_limit(ExecutionResources.for_limits(cpu=1))
    assert not needed.satisfies_limit(ExecutionResources.for_limits(cpu=0.5))
    tight = ExecutionResources.for_limits(object_store_memory=5)
    assert not needed.satisfies_limit(tight)
    assert needed.satisfies_limit(tight, ignore_object_store_memory=True)


def test_amounts_for_a_person():
    assert repr(ExecutionResources.for_limits(cpu=1, memory=3 << 40)) == (
        "ExecutionResources(cpu=1.0, gpu=inf, object_store_memory=inf, memory=3.0TiB)"
    )
