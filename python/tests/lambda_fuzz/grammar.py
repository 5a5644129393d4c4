"""Expressions from templates: `"(<int> + <int>)"` is an int, and each `<…>` is filled in turn."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

_HOLE = re.compile(r"<([a-z_]+)>")
# Expressions of a wrong type, for the exceptions.
_MISTAKES = 0.01

# Templates by kind, and by the feature that they need.
Grammar = Mapping[str, Mapping[str, Sequence[str]]]


def templates(text: str) -> list[str]:
    """Templates that two spaces or a line end part."""
    return [part.strip() for part in re.split(r"  +|\n", text) if part.strip()]


class Writer:
    """Writes random expressions of one grammar."""

    def __init__(
        self,
        rng: random.Random,
        grammar: Grammar,
        leaves: Mapping[str, Sequence[str]],
        features: Mapping[str, float],
    ) -> None:
        """Begins.

        Args:
            rng: The source of choices.
            grammar: Templates by kind and feature.
            leaves: What ends an expression of a kind, and what words of templates stand for.
            features: The features that may be used, and how often.
        """
        self.rng = rng
        self._grammar = grammar
        self._leaves = {kind: list(choices) for kind, choices in leaves.items()}
        self._features = features

    def add_leaf(self, kind: str, leaf: str) -> None:
        """Lets expressions end in a variable, say, that is worth using."""
        known = self._leaves[kind]
        self._leaves[kind] = [*known, *[leaf] * len(known)]

    def write(self, kind: str, depth: int) -> str:
        """An expression of a kind with at most `depth` templates in one another."""
        rng = self.rng
        if kind in self._grammar and rng.random() < _MISTAKES:
            kind = rng.choice([kind for kind in self._grammar if kind in self._leaves])
        by_feature = self._grammar.get(kind, {})
        known = [feature for feature in by_feature if self._features.get(feature, 0) > 0]
        if not known or depth <= 0 or rng.random() < 0.1:
            return self.fill(rng.choice(self._leaves[kind]), 0)
        weights = [self._features[feature] for feature in known]
        [feature] = rng.choices(known, weights)
        return self.fill(rng.choice(by_feature[feature]), depth - 1)

    def fill(self, template: str, depth: int) -> str:
        """The template with its holes filled."""
        return _HOLE.sub(lambda hole: self.write(hole[1], depth), template)
