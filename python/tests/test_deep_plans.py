"""Plans that a loop of a program makes deep."""

from __future__ import annotations

import raceline


def test_a_column_that_is_computed_a_thousand_times_over_is_right() -> None:
    numbers = raceline.range(3)
    for step in range(1_000):
        numbers = numbers.with_column("id", raceline.col("id") + step % 2)
    assert [row["id"] for row in numbers.take_all()] == [500, 501, 502]


def test_a_function_behind_a_thousand_renames_runs() -> None:
    numbers = raceline.range(2)
    for step in range(1_000):
        numbers = numbers.rename_columns({f"c{step - 1}" if step else "id": f"c{step}"})
    assert numbers.map(lambda row: {"value": row["c999"]}).take_all() == [
        {"value": 0},
        {"value": 1},
    ]
