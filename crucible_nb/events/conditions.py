"""Conditions on events in three-valued logic: true, false, or unknown where a value is missing.

No code is executed: there are no calls, and all names are columns.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import CrucibleError, SchemaError
from crucible_nb.events.marks import marks_of
from crucible_nb.utils import checks

_MAX_LENGTH = 4_000
_ACCEPTED = (
    "column names (others than Python's in backticks), numbers, text, + - * / %, comparisons, in [..], is None, "
    "and, or, not and parentheses"
)
_QUOTED = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|`([^`]+)`""")
_ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_ORDERS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_OTHERS = (ast.In, ast.NotIn, ast.Is, ast.IsNot)
_NODES = (
    *(*_ARITHMETIC, *_ORDERS, *_OTHERS, ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.Load),
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.List, ast.Tuple, ast.Name),
)


class Cells(NamedTuple):
    """Values of n events, and which of them are known.

    Attributes:
        values: Array of n values (numbers, booleans, datetime64 or objects), or one value for all.
        known: bool[n], or one for all.
    """

    values: Any
    known: Any


@dataclass(frozen=True)
class Condition:
    """A parsed condition.

    Kleene's logic: `a and b` is false if one of them is, even if the other is unknown; `a or b` is true if one is.
    A comparison with a missing value is unknown, whatever its sign; `column is None` finds missing values.

    Attributes:
        argument: Name of the argument it was given as, for messages.
        text: The condition as written.
        tree: Its checked syntax tree.
        columns: Names in it, in order of appearance.

    Examples:
        >>> good = parse_condition("latency_ms < 2000 and success", "metric")
        >>> calls = pd.DataFrame({"latency_ms": [10.0, 3000.0, 10.0], "success": [True, None, None]})
        >>> good.of_frame(calls).tolist()
        [1.0, 0.0, nan]

    References:
        Kleene: Introduction to Metamathematics, section 64. North-Holland (1952).
    """

    argument: str
    text: str
    tree: ast.expr
    columns: tuple[str, ...]
    quoted: tuple[str, ...] = ()

    def of_frame(self, frame: pd.DataFrame) -> np.ndarray:
        """Evaluate the condition on the rows of a frame.

        Returns:
            float64[n]: 1 true, 0 false, NaN unknown.

        Raises:
            SchemaError: A column is missing, or its values do not support the operation.
        """
        cells = self.evaluate(lambda name: _cells_of_frame(frame, name, self.argument))
        return np.broadcast_to(np.where(cells.known, cells.values, np.nan), len(frame)).astype(np.float64)

    def evaluate(self, read: Callable[[str], Cells]) -> Cells:
        """Evaluate the condition on columns that a function reads.

        Returns:
            Whether it is true (bool[n]), and where it is known (bool[n]); values are False where unknown.

        Raises:
            SchemaError: The values of a column do not support an operation.
        """
        try:
            return _truth(self._value(self.tree, read))
        except CrucibleError:
            raise
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise SchemaError(f"{self.argument}={self.text!r}: {error}") from error

    def _value(self, node: ast.expr, read: Callable[[str], Cells]) -> Cells:  # noqa: PLR0911  one branch per node
        match node:
            case ast.Constant(value=value):
                return Cells(value, value is not None)
            case ast.Name(id=name):
                return read(_name(name, self.quoted))
            case ast.BinOp(left=left, op=op, right=right):
                return _calculate(_ARITHMETIC[type(op)], self._value(left, read), self._value(right, read))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                holds = _truth(self._value(operand, read))
                return Cells(~holds.values & holds.known, holds.known)
            case ast.UnaryOp(op=op, operand=operand):
                number = self._value(operand, read)
                return number if isinstance(op, ast.UAdd) else Cells(operator.neg(_number(number)), number.known)
            case ast.BoolOp(op=op, values=values):
                return _combine([_truth(self._value(value, read)) for value in values], every=isinstance(op, ast.And))
            case ast.Compare(left=left, ops=ops, comparators=others):
                return _combine(list(self._comparisons(left, ops, others, read)), every=True)
        raise TypeError(f"expected {_ACCEPTED}")

    def _comparisons(self, left: ast.expr, ops: list[Any], others: list[ast.expr], read: Any) -> Any:
        for op, right in zip(ops, others, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)):
                yield _is_in(self._value(left, read), _options(right), isinstance(op, ast.NotIn))
            elif isinstance(op, (ast.Is, ast.IsNot)):
                yield _is_missing(self._value(left, read), right, isinstance(op, ast.IsNot))
            else:
                yield _compare(_ORDERS[type(op)], self._value(left, read), self._value(right, read))
            left = right


@lru_cache(maxsize=256)
def parse_condition(text: str, argument: str) -> Condition:
    """Parse and check a condition, before any data is read.

    Args:
        text: For example "latency_ms < 2000 and success" or "`train/loss` < 1 and model in ['a', 'b']".
        argument: Name of the argument it was given as, for messages.

    Raises:
        ConfigError: The text is no condition.

    Examples:
        >>> parse_condition("latency_ms < 2000 and success", "where").columns
        ('latency_ms', 'success')
    """
    quoted: list[str] = []

    def placeholder(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1]
        quoted.append(match[2])
        return f"_quoted_{len(quoted) - 1}_"

    try:
        if len(text) > _MAX_LENGTH:
            raise ValueError
        tree = ast.parse(_QUOTED.sub(placeholder, text).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise checks.wrong(argument, text, f"a condition of {_ACCEPTED}") from None
    if not all(map(_is_allowed, ast.walk(tree))):
        raise checks.wrong(argument, text, f"a condition of {_ACCEPTED}")
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    names = dict.fromkeys(_name(node.id, tuple(quoted)) for node in found)
    if not names:
        raise checks.wrong(argument, text, "a condition that names a column")
    return Condition(argument, text, tree.body, tuple(names), tuple(quoted))


def _name(name: str, quoted: tuple[str, ...]) -> str:
    match = re.fullmatch(r"_quoted_(\d+)_", name)
    return quoted[int(match[1])] if match is not None and int(match[1]) < len(quoted) else name


def _is_allowed(node: ast.AST) -> bool:
    return isinstance(node, _NODES) or (
        isinstance(node, ast.Constant) and type(node.value) in (bool, int, float, str, type(None))
    )


def _cells_of_frame(frame: pd.DataFrame, name: str, argument: str) -> Cells:
    marks = marks_of(frame)
    if name not in frame.columns and name in marks:
        return Cells(np.asarray(marks[name]).astype("datetime64[ns]"), np.True_)
    if name not in frame.columns and name == frame.index.name:
        column: Any = frame.index.to_series()
    else:
        checks.columns(argument, name, frame.columns)
        column = frame[name]
    known = column.notna().to_numpy()
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if column.dtype.kind in "mM":
        dtype = f"{'datetime64' if column.dtype.kind == 'M' else 'timedelta64'}[ns]"
        if getattr(column.dtype, "tz", None) is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return Cells(column.to_numpy(dtype=dtype), known)
    if pd.api.types.is_bool_dtype(column.dtype):
        return Cells(column.to_numpy(dtype=np.bool_, na_value=False), known)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return Cells(column.to_numpy(dtype=np.float64, na_value=np.nan), known)
    return Cells(column.to_numpy(dtype=object), known)


def _truth(cells: Cells) -> Cells:
    """Check that values are conditions: true, false, 1, 0 or missing."""
    values, known = np.asarray(cells.values), np.asarray(cells.known)
    if values.dtype != np.bool_:
        usable = np.where(known, values, False)
        others = [value for value in usable.ravel().tolist() if value not in (0, 1)]
        if others:
            raise TypeError(f"expected true or false, got {checks.short(others[0])}")
        values = usable.astype(np.bool_)
    return Cells(values & known, known)


def _combine(parts: list[Cells], *, every: bool) -> Cells:
    """`and` (every) or `or` of conditions in Kleene's logic."""
    values, known = parts[0]
    for other in parts[1:]:
        if every:
            decided = (known & ~values) | (other.known & ~other.values)
            values, known = values & other.values, decided | (known & other.known)
        else:
            decided = (known & values) | (other.known & other.values)
            values, known = values | other.values, decided | (known & other.known)
        values = values & known
    return Cells(values, known)


def _calculate(function: Callable[[Any, Any], Any], left: Cells, right: Cells) -> Cells:
    with np.errstate(all="ignore"):
        values = function(_number(left), _number(right))
    known = np.asarray(left.known) & np.asarray(right.known)
    return Cells(values, known & ~np.isnan(values) if np.asarray(values).dtype.kind == "f" else known)


def _number(cells: Cells) -> Any:
    values = np.asarray(cells.values)
    if values.dtype.kind in "mM":
        return values
    if values.dtype.kind not in "biuf":
        known = [value for value, is_known in zip(values.ravel(), np.broadcast_to(cells.known, values.shape).ravel(),
                                                  strict=True) if is_known]  # fmt: skip
        if not all(isinstance(value, (int, float, np.number, np.bool_)) for value in known):
            raise TypeError(f"expected numbers, got {checks.short(known[0])}")
        return np.where(cells.known, values, np.nan).astype(np.float64)
    return values.astype(np.float64)


def _compare(function: Callable[[Any, Any], Any], left: Cells, right: Cells) -> Cells:
    known = np.asarray(left.known) & np.asarray(right.known)
    first, second = _same_type(left.values, right.values)
    if object in (first.dtype, second.dtype):
        pairs = zip(*(np.broadcast_to(part, known.shape).ravel().tolist() for part in (first, second, known)),
                    strict=True)  # fmt: skip
        values = np.array([is_known and bool(function(a, b)) for a, b, is_known in pairs], np.bool_)
        return Cells(values.reshape(known.shape), known)
    return Cells(np.asarray(function(first, second)) & known, known)


def _same_type(left: Any, right: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two values that numpy can compare: a text compared with times is a time; other text is compared as objects."""
    first, second = np.asarray(left), np.asarray(right)
    if first.dtype.kind == "M" and isinstance(right, str):
        second = np.asarray(checks.instant("time", right)).astype("datetime64[ns]")
    elif second.dtype.kind == "M" and isinstance(left, str):
        first = np.asarray(checks.instant("time", left)).astype("datetime64[ns]")
    if first.dtype.kind == "U" or second.dtype.kind == "U":
        first, second = first.astype(object), second.astype(object)
    return first, second


def _options(node: ast.expr) -> list[Any]:
    if not isinstance(node, (ast.List, ast.Tuple)) or not all(isinstance(item, ast.Constant) for item in node.elts):
        raise TypeError("expected a list of numbers or text after in, such as ['a', 'b']")
    return [item.value for item in node.elts if isinstance(item, ast.Constant)]


def _is_in(cells: Cells, options: list[Any], negated: bool) -> Cells:
    values, known = np.asarray(cells.values), np.asarray(cells.known)
    found = np.array([value in options for value in values.ravel().tolist()], np.bool_).reshape(values.shape)
    return Cells((found ^ negated) & known, known)


def _is_missing(cells: Cells, right: ast.expr, negated: bool) -> Cells:
    if not isinstance(right, ast.Constant) or right.value is not None:
        raise TypeError("expected None after is")
    missing = ~np.asarray(cells.known)
    return Cells(missing ^ negated, np.ones_like(missing))
