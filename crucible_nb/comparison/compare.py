"""`cr.compare`: is the treatment really better?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crucible_nb.comparison.decide import conclude
from crucible_nb.comparison.many_arms import Comparisons, named_arms
from crucible_nb.comparison.measured_arms import CompareArguments, measure_arms
from crucible_nb.comparison.result import Comparison
from crucible_nb.comparison.verdicts import directions
from crucible_nb.utils import checks

CORRECTIONS = ("holm", "bonferroni", "bh", None)


def compare(
    control: Any,
    treatment: Any,
    metrics: str | Sequence[str] | None = None,
    pair_by: str | None = "sample_id",
    correction: str | None = "holm",
    sequential: bool = False,
    bound: Any = None,
    asymptotic: bool = False,
    margin: Any = None,
    direction: Mapping[str, str] | None = None,
    group_by: str | None = None,
    *,
    alpha: float | None = None,
    paired: bool | None = None,
    cluster: str | None = None,
    resample: Any = None,
) -> Comparison | Comparisons:
    """Compare two arms or more, with tests that fit how the rows came about.

    Args:
        control: Experiment, DataFrame, Series, list or array.
        treatment: The other arm; a mapping or list of arms compares each with the control.
        metrics: Names as in `windowed_metrics`, or columns for their means. None takes what is there: success rate,
            p95 latency, mean cost (with `sequential`: success rate, p50 and p95 latency) and what `direction` names.
        pair_by: Column that names items; arms that share at least half of them are compared item by item.
        correction: Of p-values over metrics (and arms): "holm", "bonferroni", "bh" or None.
        sequential: A test that is valid at every look; needs every event, in order of arrival.
        bound: (low, high) that values cannot leave, known beforehand; or a mapping from metric. Sequential means
            need it.
        asymptotic: Sequences for means without a bound, valid only in the long run: at most "leaning".
        margin: Difference that would matter: a number in the unit of the metric, "5%" of the control, or a mapping.
        direction: Which way is better, e.g. {"score": "up"}; latency, cost and errors go down, success up.
        group_by: Column of repeated runs, e.g. "seed": whole runs are compared.
        alpha: Level; None is that of a plan, else 0.05.
        paired: True insists on pairs, False on independent arms; None reads it off the rows.
        cluster: Column of groups of rows that are alike; None takes `session_id` where sessions have several rows.
        resample: Compare blocks of time in place of rows, e.g. "1min".

    Returns:
        Comparison: metric -> verdict, estimate (treatment - control), interval, p-value, test and why. With several
        arms a mapping from arm to these.

    Raises:
        ConfigError: An argument is not what is accepted.
        SchemaError: No such column.
        StatError: No test fits, or too few values; says what to do.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> rng = np.random.default_rng(0)
        >>> a = pd.DataFrame({"sample_id": range(500), "score": rng.normal(0.60, 0.2, 500)})
        >>> b = pd.DataFrame({"sample_id": range(500), "score": a.score + rng.normal(0.02, 0.05, 500)})
        >>> found = cr.compare(a, b, metrics=["score"], direction={"score": "up"})
        >>> found["score"].verdict, found["score"].test
        ('better', 'paired t-test')
    """
    checks.one_of("correction", correction, CORRECTIONS)
    asked = CompareArguments(
        _names(metrics), directions(direction), margin, pair_by,
        paired, cluster, resample, group_by, alpha, sequential, bound, asymptotic,
    )  # fmt: skip
    arms = named_arms(treatment)
    if arms is None:
        return conclude([measure_arms(control, treatment, asked)], correction)[0]
    cases = [measure_arms(control, arm, asked, name) for name, arm in arms.items()]
    return Comparisons(dict(zip(arms, conclude(cases, correction), strict=True)))


def _names(metrics: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if metrics is None:
        return None
    names = (metrics,) if isinstance(metrics, str) else checks.texts("metrics", metrics)
    if not names:
        raise checks.wrong("metrics", metrics, "at least one name, or None for what is there")
    return tuple(dict.fromkeys(names))
