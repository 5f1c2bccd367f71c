"""`Result`: base class of every interval, test and plan result; frozen, with text, HTML, Markdown and LaTeX views."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import pandas as pd

from crucible_nb.utils import html
from crucible_nb.utils.text import plain

_WIDE = 120


class Interval(NamedTuple):
    """A confidence interval; an open side is infinite.

    Examples:
        >>> Interval(0.0, 0.16).high
        0.16
    """

    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan)


@dataclass(frozen=True)
class Result:
    """Base class of results: views of the dataclass fields, in the order of the fields.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, repr=False)
        ... class Answer(Result):
        ...     estimate: float
        >>> print(Answer(42.0).to_markdown())
        | Answer | |
        |---|---|
        | estimate | 42 |
    """

    def __init_subclass__(cls) -> None:
        """Let results with an unknown number be equal; Python 3.13 compares field by field, and NaN with nothing."""
        super().__init_subclass__()
        cls.__eq__ = _equal  # type: ignore[method-assign,assignment]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, intervals as lists.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.t_test([1.0, 2.0, 3.0], [2.0, 3.0, 4.5]).to_dict()["n"]
            [3, 3]
        """
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def to_frame(self) -> pd.DataFrame:
        """One row; an interval becomes two columns, `<name>_low` and `<name>_high`.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.t_test([1.0, 2.0, 3.0], [2.0, 3.0, 4.5]).to_frame().estimate.round(4).tolist()
            [1.1667]
        """
        row: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Interval):
                row |= {f"{field.name}_low": value.low, f"{field.name}_high": value.high}
            else:
                row[field.name] = "; ".join(map(str, value)) if isinstance(value, tuple) else value
        return pd.DataFrame([row])

    def _rows(self) -> list[tuple[str, str]]:
        shown = ((field.name.replace("_", " "), getattr(self, field.name)) for field in fields(self))
        return [(name, _text(value)) for name, value in shown if not _is_missing(value)]

    def to_markdown(self) -> str:
        """A Markdown table.

        Examples:
            >>> import crucible_nb as cr
            >>> print(cr.t_test([1.0, 2.0, 3.0], [2.0, 3.0, 4.5]).to_markdown()[:41])
            | TestResult | |
            |---|---|
            | test | Welch
        """
        lines = [f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in self._rows()]
        return "\n".join([f"| {type(self).__name__} | |", "|---|---|", *lines])

    def to_latex(self) -> str:
        """A LaTeX tabular.

        Examples:
            >>> import crucible_nb as cr
            >>> "Welch" in cr.t_test([1.0, 2.0, 3.0], [2.0, 3.0, 4.5]).to_latex()
            True
        """
        lines = [rf"{latex_text(name)} & {latex_text(value)} \\" for name, value in self._rows()]
        return "\n".join([r"\begin{tabular}{lp{0.7\linewidth}}", r"\hline", *lines, r"\hline", r"\end{tabular}"])

    def __repr__(self) -> str:
        shown = [(field.name.replace("_", " "), getattr(self, field.name)) for field in fields(self)]
        width, lines = max((len(name) for name, _ in shown), default=0), [type(self).__name__]
        for name, value in shown:
            if not _is_missing(value):
                is_list = isinstance(value, tuple) and all(isinstance(part, str) for part in value)
                lines += _wrap(f"  {name:<{width}}  ", map(_text, value) if is_list else [_text(value)])
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return html.view(html.table(self._rows(), caption=type(self).__name__))


def _wrap(head: str, parts: Iterable[str]) -> list[str]:
    """Lines of at most 120 characters; each part starts on a new line."""
    lines = [line for part in parts for line in textwrap.wrap(part, max(_WIDE - len(head), 40)) or [""]]
    return [(" " * len(head) if at else head) + line for at, line in enumerate(lines)]


def _equal(self: Result, other: object) -> Any:
    """Whether two results have the same fields; NaN equals NaN."""
    if type(other) is not type(self):
        return NotImplemented
    return all(_same(getattr(self, field.name), getattr(other, field.name)) for field in fields(self) if field.compare)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_missing(value: Any) -> bool:
    if isinstance(value, Interval):
        return math.isnan(value.low) and math.isnan(value.high)
    empty = isinstance(value, (tuple, str)) and not value
    return value is None or empty or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str:
    """Format a value for display."""
    if isinstance(value, Interval):
        return f"{number(value.low)} to {number(value.high)}"
    if isinstance(value, tuple):
        return ("; " if any(isinstance(part, str) for part in value) else ", ").join(map(_text, value))
    return number(value) if isinstance(value, float) else f"{value:,}" if type(value) is int else plain(str(value))


def number(value: float) -> str:
    """Format a number with four significant digits.

    Examples:
        >>> number(1234.5678), number(0.000123456), number(float("inf"))
        ('1,235', '0.0001235', 'no limit')
    """
    if math.isinf(value):
        return "no limit"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def percent_text(change: float, interval: Interval) -> str:
    """Format a relative change with its interval; "" if it is unknown.

    Examples:
        >>> percent_text(0.1234, Interval(0.05, 0.2)), percent_text(-0.5, Interval(-1.0, float("inf")))
        ('+12.3% (+5% to +20%)', '-50% (-100% to open)')
    """
    if math.isnan(change):
        return ""
    low, high = ("open" if math.isinf(limit) else f"{100 * limit:+.3g}%" for limit in interval)
    return f"{100 * change:+.3g}% ({low} to {high})"


_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}  # other signs in TeX's own font encoding
)


def latex_text(text: str) -> str:
    r"""Text in which the special characters of LaTeX are escaped.

    Examples:
        >>> print(latex_text("p_95 < 5%"))
        p\_95 \textless{} 5\%
    """
    return text.translate(_LATEX)
