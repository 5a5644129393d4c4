"""Random orders: of rows, of batches, of files, and of the batches of an iteration."""

import collections

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opaque import opaque

import raceline
from raceline.data import FileShuffleConfig
from raceline.errors import PlanError, ResourceError


@pytest.fixture
def session_of():
    """Starts a session; the next test has another one."""

    def start(**options):
        raceline.shutdown()
        raceline.init(**options)

    yield start
    raceline.shutdown()


def ids(dataset):
    return [row["id"] for row in dataset.iter_rows()]


def batch_ids(batches):
    return [number for batch in batches for number in np.asarray(batch["id"]).tolist()]


def test_a_shuffle_has_each_row_once_in_another_order():
    shuffled = ids(raceline.range(10_000).random_shuffle(seed=1))
    assert shuffled != list(range(10_000))
    assert sorted(shuffled) == list(range(10_000))


def test_the_order_depends_on_the_seed():
    rows = raceline.range(1000)
    assert ids(rows.random_shuffle(seed=1)) == ids(rows.random_shuffle(seed=1))
    assert ids(rows.random_shuffle(seed=1)) != ids(rows.random_shuffle(seed=2))


def test_without_a_seed_a_dataset_keeps_its_order_and_another_has_another():
    shuffled = raceline.range(1000).random_shuffle()
    assert ids(shuffled) == ids(shuffled)
    assert ids(shuffled) != ids(raceline.range(1000).random_shuffle())


def test_all_orders_of_four_rows_come_about_equally_often():
    orders = collections.Counter()
    for seed in range(600):
        orders[tuple(ids(raceline.range(4).random_shuffle(seed=seed)))] += 1
    assert len(orders) == 24
    # 23 degrees of freedom: more than 55 comes once in 4,000 times.
    assert sum((count - 25) ** 2 / 25 for count in orders.values()) < 55


def test_the_order_depends_neither_on_threads_nor_on_memory_nor_on_batches(session_of):
    orders = []
    for cpus, memory, batch_size in [(1, 1 << 30, 64), (2, 1 << 30, 1000), (4, 8 << 20, None)]:
        session_of(num_cpus=cpus, memory=memory)
        rows = raceline.range(200_000).map_batches(
            lambda batch: {"id": batch["id"], "pad": batch["id"] * 0.5}, batch_size=batch_size
        )
        orders.append(ids(rows.random_shuffle(seed=3)))
    assert orders[0] == orders[1] == orders[2]
    assert sorted(orders[0]) == list(range(200_000))


def test_rows_of_any_type_are_shuffled_whole():
    rows = [
        {
            "id": number,
            "text": f"row {number}" * 5,
            "list": list(range(number % 4)),
            "struct": {"a": number, "b": None if number % 3 else "x"},
            "tensor": np.full((2, 3), number),
            "object": {number, "a set"} if number % 2 else complex(number),
        }
        for number in range(200)
    ]
    with pytest.warns(UserWarning, match="object"):
        shuffled = raceline.from_items(rows).random_shuffle(seed=5).take_all()
    assert [row["id"] for row in shuffled] != list(range(200))
    for row in shuffled:
        expected = rows[row["id"]]
        assert (row.pop("tensor") == expected["tensor"]).all()
        assert row == {name: value for name, value in expected.items() if name != "tensor"}


def test_what_is_behind_a_shuffle_sees_its_order():
    shuffled = raceline.range(1000).random_shuffle(seed=1)
    order = ids(shuffled)
    assert ids(shuffled.limit(10)) == order[:10]
    assert ids(shuffled.filter(opaque(lambda row: row["id"] < 5))) == [n for n in order if n < 5]
    assert ids(shuffled.random_shuffle(seed=1)) != order
    assert shuffled.count() == 1000
    assert shuffled.columns() == ["id"]


def test_no_rows_are_shuffled_to_none():
    assert raceline.range(0).random_shuffle().take_all() == []
    assert raceline.range(0).random_shuffle().columns() == ["id"]


def test_only_the_columns_that_are_needed_are_moved(tmp_path):
    pq.write_table(pa.table({"id": range(10), "other": ["x"] * 10}), tmp_path / "a.parquet")
    chosen = raceline.read_parquet(tmp_path).random_shuffle(seed=1).select_columns(["id"])
    assert "columns=[id]" in chosen._native.explain()
    assert sorted(ids(chosen)) == list(range(10))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "x"])
def test_a_seed_is_a_number_of_64_bits(seed):
    with pytest.raises(PlanError, match=r"^`seed` must be an int from 0 to 2\*\*64 - 1 or None"):
        raceline.range(3).random_shuffle(seed=seed)
    with pytest.raises(PlanError, match=r"^`seed` must be an int"):
        raceline.range(3).randomize_block_order(seed=seed)


def test_the_number_of_blocks_is_refused():
    with pytest.raises(PlanError, match=r"^`num_blocks` of `random_shuffle` is no longer there"):
        raceline.range(3).random_shuffle(num_blocks=2)


def test_a_window_moves_rows_so_far():
    drawn = ids(raceline.range(10_000).random_shuffle(seed=1, window_rows=100))
    assert sorted(drawn) == list(range(10_000))
    assert drawn != list(range(10_000))
    assert all(number <= place + 100 for place, number in enumerate(drawn))
    # Rows are held longer the luckier they are, but most leave soon.
    assert np.mean(np.abs(np.array(drawn) - np.arange(10_000))) < 200


def test_a_window_has_at_least_one_row():
    with pytest.raises(PlanError, match=r"^`window_rows` must be an int of at least 1, got `0`"):
        raceline.range(3).random_shuffle(window_rows=0)


def test_batches_change_places_and_stay_whole():
    blocks = raceline.range(100).repartition(10)
    batches = list(blocks.randomize_block_order(seed=1).iter_batches(batch_size=None))
    firsts = [batch["id"][0] for batch in batches]
    assert all(
        batch["id"].tolist() == list(range(first, first + 10))
        for first, batch in zip(firsts, batches, strict=True)
    )
    assert sorted(firsts) == list(range(0, 100, 10))
    assert firsts != list(range(0, 100, 10))
    again = blocks.randomize_block_order(seed=1)
    assert ids(again) == ids(again) == batch_ids(batches)


@pytest.fixture
def files(tmp_path):
    """Twenty files of three rows each."""
    for file in range(20):
        table = pa.table({"id": range(file * 3, file * 3 + 3)})
        pq.write_table(table, tmp_path / f"{file:02}.parquet")
    return tmp_path


def file_order(dataset):
    """The files in the order of their rows, which must stay together."""
    numbers = ids(dataset)
    assert sorted(numbers) == list(range(60))
    assert all(number % 3 == place % 3 for place, number in enumerate(numbers))
    return [number // 3 for number in numbers[::3]]


def test_files_are_read_in_another_order_each_time(files):
    dataset = raceline.read_parquet(files, shuffle="files")
    orders = [file_order(dataset) for _ in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert sorted(orders[0]) == list(range(20))
    assert dataset.count() == 60


def test_files_are_read_in_an_order_that_can_be_had_again(files):
    def orders(config):
        dataset = raceline.read_parquet(files, shuffle=config)
        return [file_order(dataset) for _ in range(3)]

    fixed = orders(FileShuffleConfig(seed=7, reseed_after_execution=False))
    assert fixed[0] == fixed[1] == fixed[2] != list(range(20))
    epochs = orders(FileShuffleConfig(seed=7))
    assert epochs == orders(FileShuffleConfig(seed=7))
    assert epochs[0] != epochs[1] != epochs[2]
    for run, order in enumerate(epochs):
        seed = FileShuffleConfig(seed=7).get_seed(run)
        config = FileShuffleConfig(seed=seed, reseed_after_execution=False)
        assert orders(config)[0] == order


def test_runs_of_what_was_made_of_a_read_count_as_runs_of_it(files):
    config = FileShuffleConfig(seed=7)
    expected = raceline.read_parquet(files, shuffle=config)
    expected = [file_order(expected) for _ in range(2)]
    dataset = raceline.read_parquet(files, shuffle=config).map(opaque(lambda row: row))
    assert [file_order(dataset), file_order(dataset)] == expected


@pytest.mark.parametrize("read", ["csv", "json", "text", "binary_files"])
def test_files_of_all_formats_are_shuffled(tmp_path, read):
    names = [f"{letter}.txt" for letter in "abcdefghij"]
    for name in names:
        (tmp_path / name).write_text('{"a": 1}')
    dataset = getattr(raceline, f"read_{read}")(
        tmp_path,
        file_extensions=["txt"],
        include_paths=True,
        shuffle=FileShuffleConfig(seed=1, reseed_after_execution=False),
        **({"has_header": False} if read == "csv" else {}),
    )
    found = [row["path"].rpartition("/")[2] for row in dataset.take_all()]
    assert sorted(found) == names
    assert found != names


@pytest.mark.parametrize("shuffle", ["rows", True, 3])
def test_a_way_to_shuffle_files_that_there_is_not(shuffle):
    with pytest.raises(PlanError, match=r"^`shuffle` must be a way to shuffle files, got `"):
        raceline.read_text("x", shuffle=shuffle)
    with pytest.raises(ValueError, match=r"^`seed` must be an int"):
        FileShuffleConfig(seed="x")


def test_the_batches_of_an_iteration_are_drawn_from_what_is_held():
    rows = raceline.range(5000)
    batches = list(
        rows.iter_batches(batch_size=32, local_shuffle_buffer_size=250, local_shuffle_seed=1)
    )
    assert [len(batch["id"]) for batch in batches] == [32] * 156 + [8]
    drawn = batch_ids(batches)
    assert sorted(drawn) == list(range(5000))
    assert drawn != list(range(5000))
    assert all(number <= place + 250 for place, number in enumerate(drawn))
    last = rows.iter_batches(batch_size=32, local_shuffle_buffer_size=250, drop_last=True)
    assert len(list(last)) == 156


def test_an_iteration_with_a_seed_repeats_itself_and_one_without_does_not():
    rows = raceline.range(1000)
    seeded = rows.iter_batches(local_shuffle_buffer_size=100, local_shuffle_seed=1)
    assert batch_ids(seeded) == batch_ids(seeded)
    unseeded = rows.iter_batches(local_shuffle_buffer_size=100)
    assert batch_ids(unseeded) != batch_ids(unseeded)


def test_tensors_of_an_iteration_are_drawn_too():
    torch = pytest.importorskip("torch")
    batches = raceline.range(100).iter_torch_batches(
        batch_size=10, local_shuffle_buffer_size=50, local_shuffle_seed=1
    )
    drawn = torch.cat([batch["id"] for batch in batches]).tolist()
    assert sorted(drawn) == list(range(100))
    assert drawn != list(range(100))


def test_a_run_of_an_iteration_that_is_drawn_is_one_of_its_dataset():
    rows = raceline.range(100)
    list(rows.iter_batches(local_shuffle_buffer_size=10))
    assert "RandomShuffle(window=10)" in rows.stats()


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_a_local_shuffle_holds_at_least_one_row(size):
    with pytest.raises(PlanError, match=r"^`local_shuffle_buffer_size` must be an int of at least"):
        raceline.range(3).iter_batches(local_shuffle_buffer_size=size)


def test_a_local_shuffle_that_does_not_fit_says_so(session_of):
    session_of(memory=8 << 20)

    def padded(batch):
        return {"id": batch["id"], "pad": np.zeros((len(batch["id"]), 1000))}

    # A worker process would hold more than this session has for workers.
    rows = raceline.range(1000).map_batches(padded, batch_size=10, debug=True)
    batches = rows.iter_batches(local_shuffle_buffer_size=900)
    with pytest.raises(ResourceError, match=r"^a shuffle in a window of 900 rows passed its share"):
        list(batches)
