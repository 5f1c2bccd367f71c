"""Arithmetic and conditions on columns, given as text and evaluated over Python's syntax tree.

No code is executed: there are no calls, and all names are columns, or fields of JSON in columns.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pandas as pd

from crucible_nb.errors import ConfigError, CrucibleError
from crucible_nb.files.nested import field_of, find_path, series_of
from crucible_nb.utils import checks

_MAX_LENGTH = 4_000
_ACCEPTED = (
    "column names, numbers, text, null, + - * / **, comparisons, in, is null, and, or, not, if else and parentheses"
)
_QUOTED = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|`([^`]+)`""")

_ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: lambda left, right: _equal(left, right),  # noqa: PLW0108  defined below
    ast.NotEq: lambda left, right: _not(_equal(left, right)) if left is None or right is None else left != right,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, options: _is_in(value, options),  # noqa: PLW0108  defined below
    ast.NotIn: lambda value, options: _not(_is_in(value, options)),
    ast.Is: lambda value, none: _is_missing(value, none),  # noqa: PLW0108
    ast.IsNot: lambda value, none: _not(_is_missing(value, none)),
}
_SIGNS: dict[type[ast.AST], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_LOGIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {ast.And: operator.and_, ast.Or: operator.or_}
_NODES = (
    *(*_ARITHMETIC, *_COMPARISONS, *_SIGNS, *_LOGIC, ast.Not),
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.List, ast.Tuple, ast.Name, ast.Load),
    *(ast.IfExp, ast.Attribute, ast.Subscript),
)


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed expression, called with a frame.

    Missing values behave as in pandas: unequal to everything in a float or text column, unknown (so not selected) in
    a nullable one; `column is null` (or None) finds them, and `null` is a missing value. A path such as
    `usage.prompt_tokens` or `choices[0].text` is a field of the JSON objects in a column.

    Attributes:
        argument: Name of the argument it was given as, for messages.
        text: The expression as written.
        tree: Its checked syntax tree.
        names: Names quoted with backticks, by their placeholders in the tree.

    Examples:
        >>> import pandas as pd
        >>> from crucible_nb.files.expressions import parse
        >>> calls = pd.DataFrame({"latency_s": [0.5, 2.0], "train/loss": [3, 4]})
        >>> parse("latency_s * 1000", "map")(calls).tolist()
        [500.0, 2000.0]
        >>> parse("latency_s > 1 and `train/loss` in [3, 4]", "where")(calls).tolist()
        [False, True]
    """

    argument: str
    text: str
    tree: ast.expr
    names: dict[str, str]

    def __call__(self, frame: pd.DataFrame) -> Any:
        """Evaluate the expression: a Series, or a scalar if it names no column.

        Args:
            frame: Frame with the columns; the name of the index counts as a column.

        Raises:
            SchemaError: A column is missing; the message lists the available ones.
            ConfigError: The types of the columns do not support an operation.
        """
        if self.text in frame.columns:  # a column named "train/loss" takes precedence over a division
            return _column(frame, self.text)
        try:
            return self._value(self.tree, frame)
        except CrucibleError:
            raise
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise ConfigError(f"{self.argument}={self.text!r}: {error}") from error

    def _value(self, node: ast.expr, frame: pd.DataFrame) -> Any:  # noqa: PLR0911  one branch per node
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._at(self._path(node), frame)
            case ast.IfExp(test=test, body=body, orelse=other):
                return _choose(*[self._value(part, frame) for part in (test, body, other)], index=frame.index)
            case ast.BinOp(left=left, op=op, right=right):
                return _calculate(op, self._value(left, frame), self._value(right, frame))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _not(self._value(operand, frame))
            case ast.UnaryOp(op=op, operand=operand):
                return _SIGNS[type(op)](_number(self._value(operand, frame)))
            case ast.BoolOp(op=op, values=values):
                return reduce(_LOGIC[type(op)], [_condition(self._value(value, frame)) for value in values])
            case ast.Compare(left=left, ops=ops, comparators=others):
                values = [self._value(value, frame) for value in (left, *others)]
                pairs = zip(ops, values, values[1:], strict=False)
                return reduce(operator.and_, [_COMPARISONS[type(op)](a, b) for op, a, b in pairs])
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self._value(item, frame) for item in items]
        raise TypeError(f"expected {_ACCEPTED}")

    def _path(self, node: ast.expr) -> list[str]:
        match node:
            case ast.Name(id=name):
                return [self.names.get(name, name)]
            case ast.Attribute(value=inner, attr=field):
                return [*self._path(inner), self.names.get(field, field)]
            case ast.Subscript(value=inner, slice=ast.Constant(value=(int() | str()) as key)):
                return [*self._path(inner), str(key)]
        raise TypeError(f"expected {_ACCEPTED}")

    def _at(self, path: list[str], frame: pd.DataFrame) -> Any:
        """Return a column, a field of one, or None for null."""
        found = find_path(frame, path)
        if found is not None:
            values = _column(frame, found[0])
            field = values if not found[1] else field_of(values, found[1])
            if field is not None:
                return field
        name = ".".join(path)
        if name == frame.index.name:
            return _column(frame, name)
        if found is None and name in _NULLS:
            return None
        checks.columns(self.argument, name, frame.columns)
        return None

    def columns(self) -> set[str]:
        """Return the names of all columns that the expression may read."""
        found = {self.text}
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
                with suppress(TypeError):
                    path = self._path(node)
                    found |= {".".join(path[:end]) for end in range(1, len(path) + 1)}
        return found - _NULLS


_NULLS = {"null", "None"}


def parse(text: str, argument: str) -> Formula:
    """Parse and check an expression, before any data is read.

    Args:
        text: For example "latency_s * 1000" or "release == 'v8' and `a b` > 1"; a name that is not a Python name is
            quoted with backticks.
        argument: Name of the argument it was given as, for messages.

    Returns:
        A callable (frame) -> value.

    Raises:
        ConfigError: The text is not a valid expression.

    Examples:
        >>> from crucible_nb.files.expressions import parse
        >>> parse("__import__('os')", "where")
        Traceback (most recent call last):
        ...
        crucible_nb.errors.ConfigError: where="__import__('os')": expected column names, numbers, text, null, \
+ - * / **, comparisons, in, is null, and, or, not, if else and parentheses
    """
    names: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1]
        names[f"_quoted_{len(names)}_"] = match[2]
        return f"_quoted_{len(names) - 1}_"

    try:
        if len(text) > _MAX_LENGTH:
            raise ValueError
        tree = ast.parse(_QUOTED.sub(placeholder, text).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise checks.wrong(argument, text, f"an expression of {_ACCEPTED}") from None
    if not all(map(_is_allowed, ast.walk(tree))) or (isinstance(tree.body, ast.Constant) and tree.body.value is None):
        raise checks.wrong(argument, text, _ACCEPTED)
    return Formula(argument, text, tree.body, names)


def _is_allowed(node: ast.AST) -> bool:
    return isinstance(node, _NODES) or (
        isinstance(node, ast.Constant) and type(node.value) in (bool, int, float, str, type(None))
    )


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    values = frame[name] if name in frame.columns else frame.index.to_series()
    return values.astype("str") if isinstance(values.dtype, pd.CategoricalDtype) else values


def _calculate(op: ast.operator, left: Any, right: Any) -> Any:
    left, right = _number(left), _number(right)
    if isinstance(op, ast.Pow) and not isinstance(left, pd.Series) and not isinstance(right, pd.Series):
        left = float(left)  # 9 ** 9 ** 9 overflows at once instead of counting digits for hours
    return _ARITHMETIC[type(op)](left, right)


def _number(value: Any) -> Any:
    dtype = value.dtype if isinstance(value, pd.Series) else type(value)
    if not pd.api.types.is_numeric_dtype(dtype):
        raise TypeError(f"expected numbers for arithmetic, got {_describe(value)}")
    return value


def _condition(value: Any) -> Any:
    if not isinstance(value, (pd.Series, bool)) or (
        isinstance(value, pd.Series) and not pd.api.types.is_bool_dtype(value.dtype)
    ):
        raise TypeError(f"expected conditions for and, or and not, got {_describe(value)}")
    return value


def _choose(condition: Any, yes: Any, no: Any, *, index: pd.Index) -> Any:
    """Return one of two values per row; an unknown condition is false."""
    condition = _condition(condition)
    if isinstance(condition, bool):
        return yes if condition else no
    known = condition.to_numpy(bool, na_value=False)
    one, other = (_values(value, len(index)) for value in (yes, no))
    return series_of([a if first else b for first, a, b in zip(known.tolist(), one, other, strict=True)], index)


def _values(value: Any, rows: int) -> list[Any]:
    if not isinstance(value, pd.Series):
        return [value] * rows
    return [None if gone else item for item, gone in zip(value.tolist(), value.isna().tolist(), strict=True)]


def _not(value: Any) -> Any:
    return not value if isinstance(value, bool) else ~_condition(value)


def _is_in(value: Any, options: Any) -> Any:
    if not isinstance(options, list) or any(isinstance(option, (pd.Series, list)) for option in options):
        raise TypeError("expected a list of numbers or text after in, such as ['a', 'b']")
    return value.isin(options) if isinstance(value, pd.Series) else value in options


def _is_missing(value: Any, none: Any) -> Any:
    if none is not None:
        raise TypeError("expected None after is")
    return pd.isna(value)


def _equal(left: Any, right: Any) -> Any:
    """Compare; `x == null` is `x is null`."""
    if left is None or right is None:
        return pd.isna(left if right is None else right)
    return left == right


def _describe(value: Any) -> str:
    return f"column {value.name!r} of {value.dtype}" if isinstance(value, pd.Series) else repr(value)
