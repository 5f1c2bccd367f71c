"""Arithmetic and conditions on columns, given as text and evaluated over Python's syntax tree.

No code is executed: there are no calls, attributes or subscripts, and all names are columns.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pandas as pd

from crucible_nb.errors import ConfigError, CrucibleError
from crucible_nb.utils import checks

_MAX_LENGTH = 4_000
_ACCEPTED = "column names, numbers, text, + - * / **, comparisons, in, is None, and, or, not and parentheses"
_QUOTED = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|`([^`]+)`""")

_ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
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
)


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed expression, called with a frame.

    Missing values behave as in pandas: unequal to everything in a float or text column, unknown (so not selected) in
    a nullable one; `column is None` finds them.

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
            case ast.Name(id=name):
                column = self.names.get(name, name)
                if column != frame.index.name:
                    checks.columns(self.argument, column, frame.columns)
                return _column(frame, column)
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
        crucible_nb.errors.ConfigError: where="__import__('os')": expected column names, numbers, text, + - * / **, \
comparisons, in, is None, and, or, not and parentheses
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


def _describe(value: Any) -> str:
    return f"column {value.name!r} of {value.dtype}" if isinstance(value, pd.Series) else repr(value)
