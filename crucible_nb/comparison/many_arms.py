"""Comparisons of several arms with one control, corrected together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.comparison.arms import own_name
from crucible_nb.comparison.result import Comparison, table_html
from crucible_nb.stats.samples.values import is_experiment
from crucible_nb.utils import checks, html


class Comparisons(Mapping[str, Comparison]):
    """Mapping from arm to its comparison with the control; p-values are corrected over all metrics of all arms.

    Examples:
        >>> import crucible_nb as cr
        >>> base, plus = [1.0, 2.0, 3.0], [11.0, 12.0, 13.0]
        >>> results = cr.compare(base, {"same": base, "slow": plus}, metrics=["latency_ms"])
        >>> {arm: comparison["latency_ms"].verdict for arm, comparison in results.items()}
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
            >>> results = cr.compare([1.0, 2.0, 3.0], {"slow": [11.0, 12.0, 13.0]}, metrics=["latency_ms"])
            >>> list(results.to_dict())
            ['slow']
        """
        return {arm: comparison.to_dict() for arm, comparison in self.items()}

    def to_frame(self) -> pd.DataFrame:
        """One row per arm and metric.

        Examples:
            >>> import crucible_nb as cr
            >>> results = cr.compare([1.0, 2.0, 3.0], {"slow": [11.0, 12.0, 13.0]}, metrics=["latency_ms"])
            >>> results.to_frame().verdict.to_dict()
            {('slow', 'latency_ms'): 'worse'}
        """
        return pd.concat({arm: comparison.to_frame() for arm, comparison in self.items()}, names=["arm"])

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.values()))

    def _repr_html_(self) -> str:
        return html.view(*(table_html(comparison) for comparison in self.values()))

    def to_markdown(self) -> str:
        """One Markdown table per arm.

        Examples:
            >>> import crucible_nb as cr
            >>> results = cr.compare([1.0, 2.0, 3.0], {"slow": [11.0, 12.0, 13.0]}, metrics=["latency_ms"])
            >>> results.to_markdown().splitlines()[0]
            'slow against control: worse on latency_ms'
        """
        return "\n\n".join(f"{comparison.summary}\n\n{comparison.to_markdown()}" for comparison in self.values())

    def to_latex(self) -> str:
        """One LaTeX tabular per arm.

        Examples:
            >>> import crucible_nb as cr
            >>> results = cr.compare([1.0, 2.0, 3.0], {"slow": [11.0, 12.0, 13.0]}, metrics=["latency_ms"])
            >>> "worse" in results.to_latex()
            True
        """
        return "\n\n".join(comparison.to_latex() for comparison in self.values())


def named_arms(treatment: Any) -> dict[str, Any] | None:
    """Name the arms of a mapping or a list of arms; None for a single arm.

    Raises:
        ConfigError: No arm, or two arms of one name.
    """
    if isinstance(treatment, (Mapping, list, tuple)) and not treatment:
        raise checks.wrong("treatment", treatment, "at least one arm, got none")
    if isinstance(treatment, Mapping):
        names = [str(name) for name in treatment]
        if len(set(names)) < len(names):
            raise checks.wrong("treatment", names, "a name of its own for each arm")
        return dict(zip(names, treatment.values(), strict=True))
    if not isinstance(treatment, (list, tuple)) or not all(map(_is_arm, treatment)):
        return None
    names = []
    for number, arm in enumerate(treatment, 1):
        name = own_name(arm)
        names.append(name if name is not None and name not in names else f"treatment {number}")
    return dict(zip(names, treatment, strict=True))


def _is_arm(value: Any) -> bool:
    return is_experiment(value) or isinstance(value, (pd.DataFrame, pd.Series, np.ndarray, list, tuple))
