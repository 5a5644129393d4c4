"""The block builder that Ray Data's guide to own sources takes from here."""

from __future__ import annotations

from raceline.data.block_conversion import BlockBuilder as DelegatingBlockBuilder

__all__ = ["DelegatingBlockBuilder"]
