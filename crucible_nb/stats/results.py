"""Results of intervals and tests: frozen, and printable wherever a person reads them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import pandas as pd

from crucible_nb import html


class Interval(NamedTuple):
    """A confidence interval; an open side is infinite.

    Examples:
        >>> Interval(0.0, 0.16).high
        0.16
    """

    low: float
    high: float


@dataclass(frozen=True)
class Result:
    """What every result can do; its fields are its content, in the order in which they are shown.

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

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, intervals as lists."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def to_frame(self) -> pd.DataFrame:
        """One row; an interval becomes two columns, `<name>_low` and `<name>_high`."""
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
        return [(name, _said(value)) for name, value in shown if not _absent(value)]

    def to_markdown(self) -> str:
        """A table for a README or an issue."""
        lines = [f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in self._rows()]
        return "\n".join([f"| {type(self).__name__} | |", "|---|---|", *lines])

    def to_latex(self) -> str:
        """A tabular for a paper."""
        lines = [rf"{_latex(name)} & {_latex(value)} \\" for name, value in self._rows()]
        return "\n".join([r"\begin{tabular}{ll}", r"\hline", *lines, r"\hline", r"\end{tabular}"])

    def __repr__(self) -> str:
        rows = self._rows()
        width = max((len(name) for name, _ in rows), default=0)
        return "\n".join([type(self).__name__, *(f"  {name:<{width}}  {value}" for name, value in rows)])

    def _repr_html_(self) -> str:
        return html.table(self._rows(), caption=type(self).__name__)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _absent(value: Any) -> bool:
    return value is None or value == () or (isinstance(value, float) and math.isnan(value))


def _said(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, Interval):
        return f"{number(value.low)} to {number(value.high)}"
    if isinstance(value, tuple):
        return "; ".join(map(_said, value))
    return number(value) if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def number(value: float) -> str:
    """A number with four significant digits.

    Examples:
        >>> number(1234.5678), number(0.000123456), number(float("inf"))
        ('1,235', '0.0001235', 'no limit')
    """
    if math.isinf(value):
        return "no limit"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)


def _latex(text: str) -> str:
    return text.translate(_LATEX)
