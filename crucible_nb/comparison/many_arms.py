"""Comparisons of several arms with one control, corrected together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.comparison.arms import ArmPair, own_name
from crucible_nb.comparison.grouped import GroupedComparison
from crucible_nb.comparison.result import Comparison, table_html
from crucible_nb.stats.samples.values import is_experiment
from crucible_nb.utils import checks, html


class Comparisons(Mapping[str, Any]):
    """Mapping from arm to its comparison with the control; p-values are corrected over all metrics of all arms.

    Each value is a `Comparison`, with `by` a `GroupedComparison`; with pairs="all" the keys are "b against a".

    Examples:
        >>> import crucible_nb as cr
        >>> base, plus = [1.0, 2.0, 3.0], [11.0, 12.0, 13.0]
        >>> results = cr.compare(base, {"same": base, "slow": plus}, metrics=["latency_ms"])
        >>> {arm: comparison["latency_ms"].verdict for arm, comparison in results.items()}
        {'same': 'inconclusive', 'slow': 'worse'}
    """

    def __init__(self, arms: Mapping[str, Comparison | GroupedComparison]) -> None:
        self._arms = dict(arms)

    def __getitem__(self, arm: str) -> Any:
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
        frames: dict[str, pd.DataFrame] = {arm: comparison.to_frame() for arm, comparison in self.items()}
        return pd.concat(frames, names=["arm"])

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.values()))

    def _repr_html_(self) -> str:
        return html.view(*map(_table_html, self._arms.values()))

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


def _table_html(comparison: Comparison | GroupedComparison) -> str:
    return comparison.table_html() if isinstance(comparison, GroupedComparison) else table_html(comparison)


def pairs_of_arms(control: Any, treatment: Any, pairs: str) -> dict[str | None, ArmPair]:
    """Name the pairs of arms to compare; None is the name of a single pair.

    Raises:
        ConfigError: No treatment, fewer than two arms, or two arms of one name.

    Examples:
        >>> list(pairs_of_arms({"a": [1.0], "b": [2.0], "c": [3.0]}, None, "all"))
        ['b against a', 'c against a', 'c against b']
        >>> list(pairs_of_arms([1.0], {"b": [2.0]}, "control")), list(pairs_of_arms([1.0], [2.0], "control"))
        (['b'], [None])
    """
    checks.one_of("pairs", pairs, ("control", "all"))
    if treatment is None:
        arms = named_arms(control, first="control")
        if arms is None or len(arms) < 2:
            raise checks.wrong("treatment", treatment, "an arm, or several in a list or mapping given as control")
        named: list[tuple[str | None, Any]] = list(arms.items())
    else:
        arms = named_arms(treatment)
        if arms is None and pairs == "control":
            return {None: ArmPair(control, treatment)}
        others = {"treatment": treatment} if arms is None else arms
        own = own_name(control)
        named = [(own if own is not None and own not in others else None, control), *others.items()]
    if pairs == "control":
        (first, data), *rest = named
        return {name: ArmPair(data, other, first, name) for name, other in rest}
    return {
        f"{name or 'control'} against {first or 'control'}": ArmPair(data, other, first, name)
        for at, (first, data) in enumerate(named)
        for name, other in named[at + 1 :]
    }


def named_arms(treatment: Any, first: str | None = None, numbered: str = "treatment") -> dict[str, Any] | None:
    """Name the arms of a mapping or a list of arms; None for a single arm.

    Arms of a list without a name of their own are `numbered`; with `first`, the numbers begin after the first.

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
        unnamed = f"{numbered} {number}"
        if first is not None:
            unnamed = first if number == 1 else f"{numbered} {number - 1}"
        names.append(name if name is not None and name not in names else unnamed)
    return dict(zip(names, treatment, strict=True))


def _is_arm(value: Any) -> bool:
    return is_experiment(value) or isinstance(value, (pd.DataFrame, pd.Series, np.ndarray, list, tuple))
