"""Rate limits: what all workers of a stage do together, per second."""

import asyncio
import time

import pytest
from opaque import opaque

import raceline
from raceline.data import RateLimit, Retry

RATE = 60
CALLS = 180

# A busy machine wakes nobody early, and some late.
LATE_S = 2


def sync_call(row):
    return {"id": row["id"], "at": time.monotonic(), "worker": worker()}


async def async_call(row):
    return sync_call(row)


def batch_call(batch):
    return {name: [value] for name, value in sync_call({"id": batch["id"][0]}).items()}


async def async_batch_call(batch):
    return batch_call(batch)


def worker():
    import os

    return os.getpid()


@pytest.fixture(autouse=True)
def session():
    raceline.shutdown()
    raceline.init(num_cpus=4)
    yield
    raceline.shutdown()


def assert_rate(times, rate):
    """No second holds more calls than the rate, and all of them took hardly longer."""
    times = sorted(times)
    for first, start in enumerate(times):
        within = sum(at < start + 1 for at in times[first:])
        # On a busy machine some come late to their turn, into the next second.
        assert within <= rate * 1.5 + 1
    reached = (len(times) - 1) / (times[-1] - times[0])
    assert 0.6 * rate <= reached <= 1.15 * rate


@pytest.mark.parametrize("call", [sync_call, async_call])
def test_all_workers_keep_to_one_rate(call):
    rows = raceline.range(CALLS).repartition(CALLS // 2)
    rows = rows.map(call, concurrency=3, num_cpus=0.5, rate_limit=RateLimit(requests_per_s=RATE))
    rows = rows.take_all()
    assert [row["id"] for row in rows] == list(range(CALLS))
    assert len({row["worker"] for row in rows}) > 1
    assert_rate([row["at"] for row in rows], RATE)


@pytest.mark.parametrize("call", [batch_call, async_batch_call])
def test_a_batch_is_one_request(call):
    rows = raceline.range(400).map_batches(
        call, batch_size=10, concurrency=2, rate_limit=RateLimit(requests_per_s=40)
    )
    assert_rate([row["at"] for row in rows.take_all()], 40)


@pytest.mark.parametrize("call", [sync_call, async_call])
@pytest.mark.parametrize("tokens", ["id", lambda row: row["id"]])
def test_tokens_are_counted_row_by_row(call, tokens):
    limit = RateLimit(tokens_per_s=200, tokens=tokens)
    start = time.monotonic()
    rows = raceline.range(20).map(call, rate_limit=limit).take_all()
    # Each waits for the tokens of those whose turn is before.
    last = max(row["at"] for row in rows)
    assert last - start >= sum(range(19)) / 200
    assert last - min(row["at"] for row in rows) <= sum(range(20)) / 200 + LATE_S


def test_the_tokens_of_a_batch_are_summed_up():
    rows = raceline.from_items([{"id": 50}, {"id": None}, {"id": 25}, {"id": 25}, {"id": 0}])
    limit = RateLimit(tokens_per_s=100, tokens="id", requests_per_s=1000)
    batches = rows.map_batches(opaque(batch_call), batch_size=2, concurrency=1, rate_limit=limit)
    times = [row["at"] for row in batches.take_all()]
    assert 0.4 <= times[1] - times[0] <= 0.5 + LATE_S
    assert 0.9 <= times[2] - times[0] <= 1 + LATE_S


def test_both_limits_hold():
    limit = RateLimit(requests_per_s=20, tokens_per_s=10, tokens="tokens")
    rows = raceline.from_items([{"id": id, "tokens": 10 * (id == 0)} for id in range(21)])
    times = [row["at"] for row in rows.map(async_call, rate_limit=limit).take_all()]
    # The tokens of the first hold the second up; the others follow at the rate of requests.
    assert 0.9 <= times[1] - times[0] <= 1 + LATE_S
    assert 1.8 <= times[-1] - times[0] <= 1 + 19 / 20 + LATE_S


def test_calls_that_are_made_again_are_counted(tmp_path):
    async def flaky(row):
        with (tmp_path / "times").open("a") as times:
            times.write(f"{time.monotonic()}\n")
        raise ConnectionError

    limit = RateLimit(requests_per_s=20)
    rows = raceline.range(5).map(
        flaky, retry=Retry(times=3, backoff_s=0), rate_limit=limit, on_error="skip"
    )
    assert rows.count() == 0
    times = [float(line) for line in (tmp_path / "times").read_text().split()]
    assert len(times) == 20
    assert max(times) - min(times) >= 19 / 20 * 0.9


def test_waiting_for_a_turn_is_not_the_function_s_time():
    limit = RateLimit(requests_per_s=5)

    async def quick(row):
        await asyncio.sleep(0)
        return row

    assert raceline.range(4).map(quick, rate_limit=limit, timeout_s=0.1).count() == 4


def test_runs_and_stages_do_not_share_a_rate():
    limit = RateLimit(requests_per_s=1)
    rows = raceline.range(1).map(async_call, rate_limit=limit).map(sync_call, rate_limit=limit)
    start = time.monotonic()
    for _ in range(3):
        rows.take_all()
    assert time.monotonic() - start < 4


def test_a_limit_is_no_reason_to_wait_for_ever():
    rows = raceline.range(3).map(async_call, rate_limit=RateLimit(requests_per_s=1e-9))
    assert rows.take(1)[0]["id"] == 0


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("tokens", "`async_call` gets no column `tokens`, which should hold the tokens"),
        (lambda row: "many", "`async_call` has a rate limit that got `'many'` for a number"),
        (lambda row: -1, "`async_call` has a rate limit that got `-1` for a number"),
        (lambda row: None, "`async_call` has a rate limit that got `None` for a number"),
    ],
)
def test_tokens_that_are_none_are_errors_of_the_row(tokens, text):
    rows = raceline.range(3).map(async_call, rate_limit=RateLimit(tokens_per_s=5, tokens=tokens))
    with pytest.raises(ValueError, match=r"tokens") as caught:
        rows.take_all()
    assert text in str(caught.value)
    assert caught.value.rows == (0, 0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: RateLimit(), "`RateLimit` needs `requests_per_s` or `tokens_per_s`"),
        (
            lambda: RateLimit(requests_per_s=0),
            "`requests_per_s` must be a positive number, got `0`",
        ),
        (
            lambda: RateLimit(tokens_per_s=5),
            "`tokens_per_s` and `tokens` need each other\n"
            '  hint: for example `RateLimit(tokens_per_s=1000, tokens="n_tokens")`',
        ),
        (
            lambda: RateLimit(tokens_per_s=5, tokens=5),
            "`tokens` must be a column's name or a function, got `5`",
        ),
        (
            lambda: raceline.range(1).map(async_call, rate_limit=5),
            "`rate_limit` must be a `RateLimit`, got `5`\n"
            "  hint: for example `rate_limit=raceline.data.RateLimit(requests_per_s=10)`",
        ),
    ],
)
def test_what_is_no_limit_is_refused(call, text):
    with pytest.raises(raceline.errors.PlanError) as caught:
        call()
    assert str(caught.value) == text
