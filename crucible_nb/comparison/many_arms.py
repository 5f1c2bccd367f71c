"""More than two arms: each against the control, corrected together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.comparison.result import Comparison
from crucible_nb.utils import html


class Comparisons(Mapping[str, Comparison]):
    """Arm -> its comparison with the control; p-values are corrected over all metrics of all arms.

    Examples:
        >>> import crucible_nb as cr
        >>> base, plus = [1.0, 2.0, 3.0], [11.0, 12.0, 13.0]
        >>> found = cr.compare(base, {"same": base, "slow": plus}, metrics=["latency_ms"])
        >>> {arm: one["latency_ms"].verdict for arm, one in found.items()}
        {'same': 'inconclusive', 'slow': 'worse'}
    """

    def __init__(self, arms: Mapping[str, Comparison]) -> None:
        self._arms = dict(arms)

    def __getitem__(self, arm: str) -> Comparison:
        return self._arms[arm]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arms)

    def __len__(self) -> int:
        return len(self._arms)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data.

        Examples:
            >>> import crucible_nb as cr
            >>> found = cr.compare([1.0, 2.0, 3.0], {"slow": [11.0, 12.0, 13.0]}, metrics=["latency_ms"])
            >>> list(found.to_dict())
            ['slow']
        """
        return {arm: one.to_dict() for arm, one in self.items()}

    def to_frame(self) -> pd.DataFrame:
        """One row an arm and metric.

        Examples:
            >>> import crucible_nb as cr
            >>> found = cr.compare([1.0, 2.0, 3.0], {"slow": [11.0, 12.0, 13.0]}, metrics=["latency_ms"])
            >>> found.to_frame().verdict.to_dict()
            {('slow', 'latency_ms'): 'worse'}
        """
        return pd.concat({arm: one.to_frame() for arm, one in self.items()}, names=["arm"])

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.values()))

    def _repr_html_(self) -> str:
        return html.view(*(one._inner_html() for one in self.values()))

    def to_markdown(self) -> str:
        """A table an arm.

        Examples:
            >>> import crucible_nb as cr
            >>> found = cr.compare([1.0, 2.0, 3.0], {"slow": [11.0, 12.0, 13.0]}, metrics=["latency_ms"])
            >>> found.to_markdown().splitlines()[0]
            'slow against control: worse on latency_ms'
        """
        return "\n\n".join(f"{one.summary}\n\n{one.to_markdown()}" for one in self.values())

    def to_latex(self) -> str:
        """A tabular an arm.

        Examples:
            >>> import crucible_nb as cr
            >>> found = cr.compare([1.0, 2.0, 3.0], {"slow": [11.0, 12.0, 13.0]}, metrics=["latency_ms"])
            >>> "worse" in found.to_latex()
            True
        """
        return "\n\n".join(one.to_latex() for one in self.values())


def named_arms(treatment: Any) -> dict[str, Any] | None:
    """Several arms by name, from a mapping or a list of arms; None for a single arm."""
    if isinstance(treatment, Mapping):
        return {str(name): arm for name, arm in treatment.items()} or None
    if not isinstance(treatment, (list, tuple)) or not treatment or not all(map(_is_arm, treatment)):
        return None
    names: list[str] = []
    for place, arm in enumerate(treatment, 1):
        said = getattr(arm, "condition", None) or getattr(arm, "name", None)
        names.append(said if isinstance(said, str) and said not in names else f"treatment {place}")
    return dict(zip(names, treatment, strict=True))


def _is_arm(value: Any) -> bool:
    return hasattr(value, "frame") or isinstance(value, (pd.DataFrame, pd.Series, np.ndarray, list, tuple))
