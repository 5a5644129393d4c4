"""Expressions over columns, for ``filter(expr=...)``, ``with_column`` and ``with_columns``.

They mean what they mean in SQL: missing values propagate, comparison with one is missing, and
``filter`` drops a row whose predicate is missing. ``docs/expressions.md`` tells of all of them.
"""

from __future__ import annotations

from raceline.data.expressions.constructors import (
    coalesce,
    col,
    if_else,
    lit,
    star,
    unnest,
    when,
)
from raceline.data.expressions.download import DownloadExpr, download
from raceline.data.expressions.expr import Expr
from raceline.data.expressions.introspection import (
    expand_projection_exprs,
    expand_star_exprs,
    exprlist_to_fields,
    is_rename_expr,
)
from raceline.data.expressions.nodes import (
    AliasExpr,
    BinaryExpr,
    CaseExpr,
    CastExpr,
    ColumnExpr,
    FunctionExpr,
    LiteralExpr,
    StarExpr,
    UnaryExpr,
    UnnestExpr,
)
from raceline.data.expressions.operators import Operation
from raceline.data.expressions.row_values import (
    MonotonicallyIncreasingIdExpr,
    RandomExpr,
    UUIDExpr,
    monotonically_increasing_id,
    random,
    uuid,
)
from raceline.data.expressions.udf import PyArrowComputeUDFExpr, UDFExpr, pyarrow_udf, udf
from raceline.data.expressions.window import (
    WindowExpr,
    WindowFunction,
    dense_rank,
    rank,
    row_number,
)

__all__ = [
    "AliasExpr",
    "BinaryExpr",
    "CaseExpr",
    "CastExpr",
    "ColumnExpr",
    "DownloadExpr",
    "Expr",
    "FunctionExpr",
    "LiteralExpr",
    "MonotonicallyIncreasingIdExpr",
    "Operation",
    "PyArrowComputeUDFExpr",
    "RandomExpr",
    "StarExpr",
    "UDFExpr",
    "UUIDExpr",
    "UnaryExpr",
    "UnnestExpr",
    "WindowExpr",
    "WindowFunction",
    "coalesce",
    "col",
    "dense_rank",
    "download",
    "expand_projection_exprs",
    "expand_star_exprs",
    "exprlist_to_fields",
    "if_else",
    "is_rename_expr",
    "lit",
    "monotonically_increasing_id",
    "pyarrow_udf",
    "random",
    "rank",
    "row_number",
    "star",
    "udf",
    "unnest",
    "uuid",
    "when",
]
