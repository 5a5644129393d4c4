"""A step of a chain."""

from dataclasses import dataclass

from chain_fuzz.state import State


@dataclass
class Step:
    """One step of a chain.

    Attributes:
        text: What it is, for people.
        apply: Does it to a dataset.
        after: The rows behind it.
    """

    text: str
    apply: object
    after: State
