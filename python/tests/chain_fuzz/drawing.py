"""Which steps there are, and how often each is drawn."""

from chain_fuzz.columns import drop, filter_by_division, filter_expr, rename, select, with_column
from chain_fuzz.functions import encode, filter_function, flat_map, map_batches, map_rows
from chain_fuzz.places import by_place, limit, materialize, repartition, shuffle, sort
from chain_fuzz.relations import group, join, pickled, query, union, window, zip_rows

# Each draws a step for the rows that are there, or gives None where it does not fit them.
STEPS = [
    *(3 * [select, with_column, filter_expr, filter_function, limit, map_rows, union]),
    *(2 * [drop, rename, sort, shuffle, by_place, zip_rows, filter_by_division]),
    *[map_batches, flat_map, repartition, group, join, window, materialize, query],
    *[pickled, encode],
]


def drawn(rng, state):
    """A step that fits the rows."""
    while (step := rng.choice(STEPS)(rng, state)) is None:
        pass
    return step
