"""Rows that functions fail for where the run goes on: left out, counted, kept, replayed."""

import os
import pdb
import signal

import numpy as np
import pytest

import raceline
from raceline import errors


def fails_for_sevens(row):
    if row["id"] % 100 == 7:
        raise ValueError(f"seven: {row['id']}")
    return row


def fails_for_batches_with_sevens(batch):
    sevens = batch["id"] % 100 == 7
    if sevens.any():
        raise ValueError(f"seven: {batch['id'][sevens][0]}")
    return batch


def twice(row):
    yield row
    if row["id"] % 100 == 7:
        raise KeyError("seven")
    yield row


SEVENS = list(range(7, 1000, 100))
OTHERS = [number for number in range(1000) if number % 100 != 7]


def ids(dataset):
    return [row["id"] for row in dataset.take_all()]


def failed(dataset):
    return sorted(row["input"]["id"] for row in dataset.dead_letters().take_all())


@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
@pytest.mark.parametrize(
    ("method", "function", "options"),
    [
        ("map", fails_for_sevens, {}),
        ("map", fails_for_sevens, {"concurrency": 2}),
        ("filter", lambda row: fails_for_sevens(row) is not None, {}),
        ("map_batches", fails_for_batches_with_sevens, {}),
        ("map_batches", fails_for_batches_with_sevens, {"batch_size": 64}),
        ("map_batches", fails_for_batches_with_sevens, {"batch_size": 1}),
    ],
)
def test_the_other_rows_go_on_in_order(method, function, options, on_error):
    dataset = getattr(raceline.range(1000), method)(function, on_error=on_error, **options)
    assert ids(dataset) == OTHERS
    assert "left out as the function failed for them: 10" in dataset.stats()
    if on_error == "dead_letter":
        assert failed(dataset) == SEVENS


def test_what_a_row_becomes_is_all_there_or_not_at_all():
    dataset = raceline.range(1000).flat_map(twice, on_error="dead_letter")
    assert ids(dataset) == [number for number in OTHERS for _ in range(2)]
    assert failed(dataset) == SEVENS

    def halves(batch):
        yield {"id": batch["id"][:1]}
        fails_for_batches_with_sevens(batch)
        yield {"id": batch["id"][1:]}

    dataset = raceline.range(1000).map_batches(halves, batch_size=10, on_error="skip")
    assert ids(dataset) == OTHERS


def test_what_is_returned_counts_too():
    dataset = raceline.range(4).map(
        lambda row: row if row["id"] != 2 else None, on_error="dead_letter", num_cpus=1
    )
    assert ids(dataset) == [0, 1, 3]
    [letter] = dataset.dead_letters().take_all()
    assert "returned None for a row" in letter["error"]


def test_a_letter_holds_all_that_is_known(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("word,count\none,1\nzero,0\ntwo,2\n")

    def divide(row):
        return {"share": 10 // row["count"]}

    dataset = raceline.read_csv(str(path)).map(divide, on_error="dead_letter")
    assert dataset.take_all() == [{"share": 10}, {"share": 5}]
    [letter] = dataset.dead_letters().take_all()
    assert "in divide" in letter.pop("traceback")
    assert letter == {
        "stage": "Map(divide)",
        "error_type": "ZeroDivisionError",
        "error": "integer division or modulo by zero",
        "split": str(path),
        "split_row": 1,
        "input": {"word": "zero", "count": 0},
    }


def test_letters_keep_what_the_row_held():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)

    def fail(row):
        raise RuntimeError("no")

    rows = [{"image": image, "words": ["a", None], "odd": {1, 2}, "when": None}]
    dataset = raceline.from_items(rows).map(fail, on_error="dead_letter")
    assert dataset.take_all() == []
    [letter] = dataset.dead_letters().take_all()
    row = letter["input"]
    np.testing.assert_array_equal(row["image"], image)
    assert row["image"].dtype == np.uint8
    assert (row["words"], row["odd"], row["when"]) == (["a", None], {1, 2}, None)


def test_letters_of_several_functions_and_a_later_run():
    dataset = (
        raceline.range(10)
        .map(lambda row: {"text": str(5 // row["id"])}, on_error="dead_letter")
        .map(lambda row: {"number": 1 // int(row["text"])}, on_error="dead_letter")
    )
    for _ in range(2):
        assert dataset.count() == 5
        letters = dataset.dead_letters()
        assert letters.count() == 5
        found = [(row["stage"], row["input"]) for row in letters.take_all()]
        assert found == [
            ("Map(<lambda>)", {"id": 0, "text": None}),
            *[("Map(<lambda>)", {"id": None, "text": "0"})] * 4,
        ]
    assert letters.groupby("error_type").count().take_all() == [
        {"error_type": "ZeroDivisionError", "count()": 5}
    ]


def test_without_errors_the_letters_are_empty():
    dataset = raceline.range(10).map(fails_for_batches_with_sevens, on_error="dead_letter")
    assert dataset.limit(0).take_all() == []
    dataset = raceline.range(5).map(fails_for_sevens, on_error="dead_letter")
    assert dataset.count() == 5
    assert dataset.dead_letters().take_all() == []
    assert "error" in dataset.dead_letters().columns()


def test_too_many_errors_end_the_run_and_keep_their_letters():
    dataset = raceline.range(1000).map(
        fails_for_sevens, on_error="dead_letter", max_errored_rows=3, concurrency=1
    )
    with pytest.raises(ValueError, match="seven") as caught:
        dataset.take_all()
    assert isinstance(caught.value, errors.UdfError)
    assert len(failed(dataset)) == 3
    dataset = raceline.range(1000).map(fails_for_sevens, on_error="skip", max_errored_rows=10)
    assert dataset.count() == 990


def test_a_limit_counts_the_rows_that_are_left():
    dataset = raceline.range(1000).map(fails_for_sevens, on_error="skip")
    assert ids(dataset.limit(10)) == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]


def test_rows_that_kill_their_worker_are_letters(capfd):
    def die(row):
        if row["id"] in (30, 31, 77):
            os.kill(os.getpid(), signal.SIGKILL)
        return row

    dataset = raceline.range(100).map(die, on_error="dead_letter", max_retries=0)
    assert ids(dataset) == [number for number in range(100) if number not in (30, 31, 77)]
    letters = sorted(dataset.dead_letters().take_all(), key=lambda letter: letter["input"]["id"])
    assert [letter["input"]["id"] for letter in letters] == [30, 31, 77]
    assert {letter["error_type"] for letter in letters} == {"WorkerDied"}
    assert letters[0]["split_row"] == 30
    assert "3 rows were left out" in capfd.readouterr().err


def test_a_row_that_hangs_is_a_letter():
    import time

    def hang(batch):
        if 33 in batch["id"]:
            time.sleep(60)
        return batch

    dataset = raceline.range(64).map_batches(
        hang, batch_size=16, timeout_s=0.3, max_retries=0, on_error="dead_letter"
    )
    assert ids(dataset) == [number for number in range(64) if number != 33]
    assert failed(dataset) == [33]


def test_a_constructor_that_fails_ends_the_run():
    class Broken:
        def __init__(self):
            raise RuntimeError("no weights")

        def __call__(self, row):
            return row

    dataset = raceline.range(5).map(Broken, concurrency=1, on_error="skip")
    with pytest.raises(errors.UdfError, match="no weights"):
        dataset.take_all()


def test_a_compiled_function_leaves_out_what_python_fails_for():
    dataset = raceline.range(5).map(lambda row: {"x": 1 // (row["id"] - 2)}, on_error="skip")
    assert [row["x"] for row in dataset.take_all()] == [-1, -1, 1, 0]


def test_letters_are_written_and_replayed(tmp_path):
    dataset = raceline.range(300).map(fails_for_sevens, on_error="dead_letter", concurrency=1)
    assert dataset.count() == 297
    path = str(tmp_path / "letters")
    dataset.dead_letters().write_parquet(path)
    for letters in (path, dataset.dead_letters()):
        with pytest.raises(ValueError, match=r"^seven: 107$"):
            raceline.replay(letters, fails_for_sevens, 1, debugger=False)
        assert raceline.replay(letters, lambda row, more: row["id"] + more, 2, fn_args=[1]) == 208
        with pytest.raises(errors.PlanError, match="no letter 3: there are 3"):
            raceline.replay(letters, fails_for_sevens, 3)
    with pytest.raises(errors.PlanError, match="no dead letters"):
        raceline.replay(raceline.range(3), fails_for_sevens)


def test_letters_of_batch_functions_are_replayed_as_batches(monkeypatch):
    class Check:
        def __init__(self, bad):
            self.bad = bad

        def __call__(self, batch):
            if (batch["id"] == self.bad).any():
                raise ValueError(len(batch["id"]))
            return batch

    dataset = raceline.range(20).map_batches(
        Check, fn_constructor_args=[13], concurrency=1, on_error="dead_letter"
    )
    assert dataset.count() == 19
    opened = []
    monkeypatch.setattr(pdb, "post_mortem", lambda trace: opened.append(trace.tb_next))
    with pytest.raises(ValueError, match=r"^1$"):
        raceline.replay(dataset.dead_letters(), Check, fn_constructor_args=[13], debugger=True)
    assert opened[0].tb_frame.f_code.co_name == "__call__"
    replayed = raceline.replay(
        dataset.dead_letters(), Check, fn_constructor_args=[0], batch_format="pandas"
    )
    assert replayed["id"].tolist() == [13]


def test_wrong_policies_and_letters_that_are_not_there():
    dataset = raceline.range(3)
    with pytest.raises(errors.PlanError, match="there is no error policy `'ignore'`"):
        dataset.map(fails_for_sevens, on_error="ignore")
    with pytest.raises(errors.PlanError, match="needs a policy"):
        dataset.map(fails_for_sevens, max_errored_rows=3)
    with pytest.raises(errors.PlanError, match="max_errored_rows"):
        dataset.map(fails_for_sevens, on_error="skip", max_errored_rows=-1)
    with pytest.raises(errors.PlanError, match="has not been run"):
        dataset.map(fails_for_sevens, on_error="dead_letter").dead_letters()
    skipping = dataset.map(fails_for_sevens, on_error="skip")
    skipping.count()
    with pytest.raises(errors.PlanError, match="no function of this dataset keeps dead letters"):
        skipping.dead_letters()
