"""Epochs that are interrupted, and go on at the very next batch."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opaque import opaque

import raceline
from raceline.data import FileShuffleConfig
from raceline.data.expressions import col, download, monotonically_increasing_id, random
from raceline.errors import PlanError

ROWS = 100
BATCH = 9


@pytest.fixture
def folder(tmp_path):
    """Five files of 20 rows, each in groups of 6."""
    for at in range(5):
        numbers = list(range(at * 20, at * 20 + 20))
        table = pa.table({"id": numbers, "text": [f"row {n}" for n in numbers]})
        pq.write_table(table, tmp_path / f"{at}.parquet", row_group_size=6)
        (tmp_path / f"{at}.csv").write_text("id\n" + "".join(f"{n}\n" for n in numbers))
    return tmp_path


def parquet(folder, **options):
    return raceline.read_parquet(f"{folder}/*.parquet", **options)


DATASETS = {
    "range": lambda folder: raceline.range(ROWS),
    "items": lambda folder: raceline.from_items([{"id": n} for n in range(ROWS)]),
    "kept": lambda folder: raceline.range(ROWS).repartition(7).materialize(),
    "parquet": parquet,
    "csv": lambda folder: raceline.read_csv(f"{folder}/*.csv"),
    "filtered": lambda folder: parquet(folder).filter(expr=col("id") % 3 != 0),
    "limited": lambda folder: parquet(folder).limit(70),
    "mapped": lambda folder: parquet(folder).map(lambda row: {"id": row["id"] * 2}),
    "called": lambda folder: parquet(folder).map(opaque(lambda row: {"id": row["id"] + 1})),
    "batches": lambda folder: raceline.range(ROWS).map_batches(
        opaque(lambda batch: {"id": np.repeat(batch["id"], 2)}), batch_size=10
    ),
    "zipped": lambda folder: parquet(folder).zip(raceline.range(ROWS)),
    "united": lambda folder: parquet(folder).union(raceline.range(30)),
    "united behind a filter": lambda folder: (
        raceline.range(50).filter(expr=col("id") > 9).union(raceline.range(30))
    ),
    "sorted": lambda folder: parquet(folder).sort("id", descending=True),
    "shuffled": lambda folder: parquet(folder).random_shuffle(seed=3),
    "in a window": lambda folder: parquet(folder).random_shuffle(seed=3, window_rows=11),
    "files": lambda folder: parquet(folder, shuffle=FileShuffleConfig(seed=3)),
    "numbered": lambda folder: parquet(folder).with_column("id", monotonically_increasing_id()),
    "by chance": lambda folder: parquet(folder).with_column("id", random(seed=3)),
    "by chance, unseeded": lambda folder: parquet(folder).with_columns(
        {"id": random(), "other": random()}
    ),
    "kept by chance": lambda folder: parquet(folder).filter(expr=random() < 0.8),
    "files, unseeded": lambda folder: parquet(folder, shuffle="files"),
}


def ids(batch):
    return batch["id"].tolist()


@pytest.mark.parametrize("window", [None, 5, 1000])
@pytest.mark.parametrize("name", DATASETS)
def test_an_epoch_goes_on_at_the_very_next_batch(folder, name, window):
    make = DATASETS[name]
    options = {"batch_size": BATCH, "local_shuffle_buffer_size": window}
    states, batches = [], []
    iterator = make(folder).iterator()
    for batch in iterator.iter_batches(**options):
        batches.append(ids(batch))
        states.append(json.loads(json.dumps(iterator.state_dict())))
    assert sum(len(batch) for batch in batches) > 3 * BATCH
    for at, state in enumerate(states, 1):
        assert (state["epoch"], state["rows"]) == (0, sum(map(len, batches[:at])))
        resumed = make(folder).iter_batches(**options)
        resumed.load_state_dict(state)
        assert [ids(batch) for batch in resumed] == batches[at:], at


def test_epochs_behind_a_resumed_one_are_those_that_would_have_come(folder):
    def make():
        return parquet(folder, shuffle=FileShuffleConfig(seed=7)).iterator()

    options = {"batch_size": 30, "local_shuffle_buffer_size": 8, "local_shuffle_seed": 1}
    whole = make()
    epochs = [[ids(batch) for batch in whole.iter_batches(**options)] for _ in range(4)]
    assert epochs[0] != epochs[1]

    first = make()
    list(first.iter_batches(**options))
    for batch in first.iter_batches(**options):
        assert ids(batch) == epochs[1][0]
        break
    state = first.state_dict()
    assert (state["epoch"], state["rows"]) == (1, 30)

    second = make()
    second.load_state_dict(state)
    rest = [[ids(batch) for batch in second.iter_batches(**options)] for _ in range(3)]
    assert rest == [epochs[1][1:], epochs[2], epochs[3]]


def test_the_state_behind_an_epoch_is_the_beginning_of_the_next(folder):
    def make():
        return parquet(folder, shuffle=FileShuffleConfig(seed=7)).iterator()

    whole = make()
    first = [ids(batch) for batch in whole.iter_batches()]
    state = whole.state_dict()
    assert (state["epoch"], state["rows"]) == (1, 0)
    second = [ids(batch) for batch in whole.iter_batches()]
    assert first != second
    resumed = make()
    resumed.load_state_dict(state)
    assert [ids(batch) for batch in resumed.iter_batches()] == second
    assert resumed.state_dict()["epoch"] == 2


def test_a_state_before_the_first_batch_is_the_whole_epoch():
    batches = raceline.range(10).iter_batches(batch_size=4)
    state = batches.state_dict()
    assert (state["epoch"], state["rows"]) == (0, 0)
    batches.load_state_dict(state)
    assert [len(batch["id"]) for batch in batches] == [4, 4, 2]


def test_a_loaded_state_is_told_until_it_is_used():
    batches = raceline.range(10).iter_batches(batch_size=4)
    next(iter(batches))
    state = batches.state_dict()
    other = raceline.range(10).iterator()
    other.load_state_dict(state)
    assert other.state_dict() == state


def test_rows_and_other_batch_sizes_go_on_at_the_same_row():
    iterator = raceline.range(20).iterator()
    for at, row in enumerate(iterator.iter_rows()):
        assert row == {"id": at}
        if at == 6:
            break
    state = iterator.state_dict()
    assert state["rows"] == 7
    resumed = raceline.range(20).iterator()
    resumed.load_state_dict(state)
    assert [ids(batch) for batch in resumed.iter_batches(batch_size=8)] == [
        list(range(7, 15)),
        list(range(15, 20)),
    ]


def test_a_last_batch_that_is_left_out_stays_out():
    options = {"batch_size": 4, "drop_last": True}
    batches = raceline.range(10).iter_batches(**options)
    next(iter(batches))
    resumed = raceline.range(10).iter_batches(**options)
    resumed.load_state_dict(batches.state_dict())
    assert [ids(batch) for batch in resumed] == [[4, 5, 6, 7]]


def test_the_rest_of_an_epoch_is_shuffled_as_it_began():
    began = raceline.range(30).iter_batches(batch_size=10, local_shuffle_buffer_size=7)
    first = iter(began)
    next(first)
    state = began.state_dict()
    resumed = raceline.range(30).iter_batches(batch_size=10)
    resumed.load_state_dict(state)
    assert [ids(batch) for batch in resumed] == [ids(batch) for batch in first]
    assert next(ids(batch) for batch in resumed) == list(range(10))


def test_files_before_the_place_are_not_read(folder):
    iterator = parquet(folder).iterator()
    for batch in iterator.iter_batches(batch_size=50):
        assert ids(batch) == list(range(50))
        break
    dataset = parquet(folder)
    resumed = dataset.iterator()
    resumed.load_state_dict(iterator.state_dict())
    assert len(list(resumed.iter_rows())) == 50
    [read] = [one for one in dataset.profile().stages if "ReadParquet" in one.name]
    assert read.output_rows == 50
    for at in range(2):  # nobody misses what is in them
        size = (folder / f"{at}.parquet").stat().st_size
        kept = (folder / f"{at}.parquet").read_bytes()
        (folder / f"{at}.parquet").write_bytes(b"\0" * 100 + kept[100:])
        assert (folder / f"{at}.parquet").stat().st_size == size
    resumed.load_state_dict(iterator.state_dict())
    assert [row["id"] for row in resumed.iter_rows()] == list(range(50, 100))


def test_nothing_is_fetched_again(folder, tmp_path):
    uris = [f"file://{tmp_path}/blob{at}" for at in range(10)]
    for at in range(10):
        (tmp_path / f"blob{at}").write_bytes(bytes([at]))

    def fetched():
        rows = raceline.from_items([{"uri": uri} for uri in uris])
        return rows.with_column("bytes", download("uri"))

    batches = fetched().iter_batches(batch_size=6)
    next(iter(batches))
    dataset = fetched()
    resumed = dataset.iterator()
    resumed.load_state_dict(batches.state_dict())
    [rest] = resumed.iter_batches(batch_size=6)
    assert rest["bytes"].tolist() == [bytes([at]) for at in range(6, 10)]
    [stage] = [one for one in dataset.profile().stages if "Download" in one.name]
    assert stage.input_rows == 4


def test_a_state_of_another_dataset_is_refused():
    batches = raceline.range(10).iter_batches()
    with pytest.raises(PlanError) as error:
        raceline.range(11).iter_batches().load_state_dict(batches.state_dict())
    assert str(error.value) == (
        "the state is of another dataset\n"
        "  of the state: Range(10)\n"
        "  this one:     Range(11)\n"
        "  hint: build the dataset as it was then; a shuffle needs the same `seed=`"
    )
    shuffled = raceline.range(10).random_shuffle().iter_batches().state_dict()
    with pytest.raises(PlanError, match=r"this one: *RandomShuffle\(seed="):
        raceline.range(10).random_shuffle().iter_batches().load_state_dict(shuffled)


def test_a_state_over_other_files_is_refused(folder):
    state = parquet(folder).iter_batches().state_dict()
    bytes_before = state["files"]["bytes"]
    pq.write_table(pa.table({"id": [1], "text": ["x"]}), folder / "9.parquet")
    bytes_after = bytes_before + (folder / "9.parquet").stat().st_size
    with pytest.raises(PlanError) as error:
        parquet(folder).iter_batches().load_state_dict(state)
    assert str(error.value) == (
        f"the files are not those of the state: 5 files of {bytes_before} bytes then, "
        f"6 files of {bytes_after} bytes now\n"
        "  hint: read the files by name that there were, to resume the epoch over them"
    )


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (lambda rows: rows.groupby("id").count(), "Aggregate(by=[id], [count()])"),
        (lambda rows: rows.randomize_block_order(seed=1), "RandomizeBlockOrder(seed=1)"),
        (lambda rows: rows.sql("select id from self"), "Sql(select id from self)"),
    ],
)
def test_rows_in_another_order_each_time_have_no_state(make, label):
    dataset = make(raceline.range(10))
    with pytest.raises(PlanError) as error:
        dataset.iterator().state_dict()
    assert str(error.value) == (
        f"rows come in another order each time from `{label}`, so that an epoch cannot be resumed\n"
        "  hint: sort the rows behind it, or write them to files and read these"
    )
    assert dataset.sort("id").iterator().state_dict()["rows"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "the state is of version `2`, and this program reads 1"),
        ({"rows": -1}, "the state holds something other than numbers, where these should be"),
        ({"rows": 1.5}, "the state holds something other than numbers, where these should be"),
        ({"epoch": True}, "the state holds something other than numbers, where these should be"),
        ({"new_seed": "x"}, "the state holds something other than numbers, where these should be"),
        ({"local_shuffle": [1]}, "the state holds something other than numbers, where these"),
        ({"local_shuffle": "ab"}, "the state holds something other than numbers, where these"),
        ({"more": 1}, "the state has not the fields that it should: `more`"),
    ],
)
def test_what_is_no_state_is_refused(change, message):
    batches = raceline.range(10).iter_batches()
    with pytest.raises(PlanError) as error:
        batches.load_state_dict({**batches.state_dict(), **change})
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("state", [None, 1, {}, {"rows": 3}])
def test_what_is_not_even_a_state_is_refused(state):
    with pytest.raises(PlanError, match=r"^a state must be what `state_dict\(\)` gave, got "):
        raceline.range(10).iter_batches().load_state_dict(state)


def test_a_place_behind_the_end_has_no_rows():
    for dataset in (raceline.range(10), raceline.range(10).random_shuffle(seed=1, window_rows=3)):
        batches = dataset.iter_batches()
        batches.load_state_dict({**batches.state_dict(), "rows": 1000, "new_seed": 1})
        assert list(batches) == []
        assert len(list(batches)) == 1


CONSUMER = """
import json, os, signal, sys
import raceline

folder, state_path, log_path, kill_at = sys.argv[1:]
rows = raceline.read_parquet(f"{folder}/*.parquet", shuffle="files")
rows = rows.map(lambda row: {"id": row["id"]})
iterator = rows.iterator()
if os.path.exists(state_path):
    iterator.load_state_dict(json.load(open(state_path)))
batches = iterator.iter_batches(batch_size=7, local_shuffle_buffer_size=20)
for at, batch in enumerate(batches):
    if at == int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)
    with open(log_path, "a") as log:
        log.write("".join(f"{one}\\n" for one in batch["id"]))
    with open(state_path + ".new", "w") as file:
        json.dump(iterator.state_dict(), file)
    os.replace(state_path + ".new", state_path)
"""


def test_a_killed_consumer_goes_on_from_its_last_state(folder, tmp_path):
    script = tmp_path / "consumer.py"
    script.write_text(textwrap.dedent(CONSUMER))
    log = tmp_path / "log"
    arguments = [sys.executable, str(script), str(folder), str(tmp_path / "state"), str(log)]
    for kill_at in (3, 0, 5):
        ended = subprocess.run([*arguments, str(kill_at)], timeout=120, check=False)
        assert ended.returncode == -signal.SIGKILL
    assert len(log.read_text().split()) == 8 * 7
    subprocess.run([*arguments, "-1"], timeout=120, check=True)
    seen = [int(one) for one in log.read_text().split()]
    assert sorted(seen) == list(range(ROWS))
    assert seen != list(range(ROWS))
    assert os.path.exists(tmp_path / "state")
