"""`cr.compare`: comparison of two arms or more, with one verdict per metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack, overload

from crucible_nb.comparison.arguments import CompareArguments
from crucible_nb.comparison.by_group import measure_groups
from crucible_nb.comparison.decide import decide_all
from crucible_nb.comparison.grouped import GroupedComparison
from crucible_nb.comparison.many_arms import Comparisons, pairs_of_arms
from crucible_nb.comparison.measured_arms import Look, measure_look, read_looks
from crucible_nb.comparison.result import Comparison
from crucible_nb.comparison.verdicts import check_directions
from crucible_nb.errors import ConfigError
from crucible_nb.events.where import Where
from crucible_nb.utils import checks

CORRECTIONS = ("holm", "bonferroni", "bh", None)


Correction = Literal["holm", "bonferroni", "bh"] | None
Pairs = Literal["control", "all"]
Metrics = str | Sequence[str] | None


class CompareOptions(TypedDict, total=False):
    """Keywords of `compare` for type checkers; their meaning is in its docstring."""

    pair_by: str | None
    correction: Correction
    sequential: bool
    bound: Any
    asymptotic: bool
    margin: Any
    direction: Mapping[str, str] | None
    group_by: str | None
    alpha: float | None
    paired: bool | None
    cluster: str | None
    resample: Any
    where: Where


@overload
def compare(
    control: Any, treatment: None = ..., metrics: Metrics = ..., *, by: str | None = ...,
    pairs: Pairs = ..., **options: Unpack[CompareOptions],
) -> Comparisons: ...  # fmt: skip
@overload
def compare(
    control: Any, treatment: Mapping[str, Any], metrics: Metrics = ..., *, by: str | None = ...,
    pairs: Pairs = ..., **options: Unpack[CompareOptions],
) -> Comparisons: ...  # fmt: skip
@overload
def compare(
    control: Any, treatment: Any, metrics: Metrics = ..., *, by: None = ..., pairs: Literal["control"] = ...,
    **options: Unpack[CompareOptions],
) -> Comparison: ...  # fmt: skip
@overload
def compare(
    control: Any, treatment: Any, metrics: Metrics = ..., *, by: str, pairs: Literal["control"] = ...,
    **options: Unpack[CompareOptions],
) -> GroupedComparison: ...  # fmt: skip
@overload
def compare(
    control: Any, treatment: Any, metrics: Metrics = ..., *, by: str | None = ..., pairs: Literal["all"],
    **options: Unpack[CompareOptions],
) -> Comparisons: ...  # fmt: skip
def compare(
    control: Any,
    treatment: Any = None,
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
    where: Where = None,
    by: str | None = None,
    pairs: str = "control",
) -> Comparison | GroupedComparison | Comparisons:
    """Compare two arms or more, with tests chosen by the design that the rows show.

    Args:
        control: Experiment, DataFrame, Series, list or array. Without `treatment`, a list of arms or a mapping of names
            to arms, the first of which is the control.
        treatment: The other arm; a mapping or list of arms compares each with the control.
        metrics: Names as in `windowed_metrics`, or columns for their means. None compares those with values: success
            rate, p95 latency, mean cost (with `sequential`: success rate, p50 and p95 latency) and the metrics of
            `direction`.
        pair_by: Column of item ids, "sample_id" or the unit that `cr.start(unit=)` declared; arms that have at least
            half of their items in common are compared in pairs.
        correction: Correction of p-values over metrics, pairs of arms and groups: "holm", "bonferroni", "bh" or None.
        sequential: Use confidence sequences, which are valid at any look; they need every event, in order of arrival.
        bound: (low, high) of the possible values, known beforehand; or a mapping from metric. Sequential comparison of
            means needs it; only with `sequential`.
        asymptotic: Allow sequences for means without a bound, valid only asymptotically: the verdict is at most
            "leaning".
        margin: Smallest difference that matters: a number in the unit of the metrics (of one unit), "5%" of the
            control, or a mapping from metric.
        direction: Direction that is better, e.g. {"score": "up"}; latency, cost and errors are better down, success up.
        group_by: Column of repeated runs, e.g. "seed": whole runs are compared, also by a single value of each, such as
            last_accuracy or min_val_loss.
        alpha: Significance level; None is that of the plan, otherwise 0.05.
        paired: True requires pairs, False independent arms; None decides by the rows.
        cluster: Column of clusters of similar rows; None uses `session_id` if sessions have several rows, and
            repeated items of independent arms.
        resample: Width of time blocks, e.g. "1min", if neighbouring rows correlate: errors are between blocks. At most
            one of `cluster`, `resample` and `group_by`.
        where: Condition on the rows of all arms, as for `query_window`, before anything else.
        by: Column of groups, e.g. "device": the arms are compared in each group as if it were alone, except for the
            correction, and it is tested whether the difference is the same in all groups (interaction). Groups with
            fewer than five values in an arm (two runs, with `group_by`) are not tested.
        pairs: "control" compares each arm with the control, "all" each arm with each other one.

    Returns:
        Comparison: metric -> verdict, estimate (treatment - control), interval, p-value, test and reason. A metric that
        cannot be tested (constant, too few values) is "inconclusive", with the reason. With `by`, a
        `GroupedComparison`: group -> Comparison, and `interaction`. With several arms, a mapping from arm to these;
        with pairs="all" from "b against a".

    Raises:
        ConfigError: An argument is not accepted, or not together with another one; no arm is given.
        SchemaError: No such column.
        StatError: The design does not fit the rows, or no metric is in both arms; the message names a remedy.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> rng = np.random.default_rng(0)
        >>> a = pd.DataFrame({"sample_id": range(500), "score": rng.normal(0.60, 0.2, 500)})
        >>> b = pd.DataFrame({"sample_id": range(500), "score": a.score + rng.normal(0.02, 0.05, 500)})
        >>> result = cr.compare(a, b, metrics=["score"], direction={"score": "up"})
        >>> result["score"].verdict, result["score"].test
        ('better', 'paired t-test')
    """
    checks.one_of("correction", correction, CORRECTIONS)
    arguments = CompareArguments(
        metrics=_metric_names(metrics), direction=check_directions(direction), margin=margin, pair_by=pair_by,
        paired=paired, cluster=cluster, resample=resample, group_by=group_by, alpha=alpha, sequential=sequential,
        bound=bound, asymptotic=asymptotic, where=where,
    )  # fmt: skip
    named = pairs_of_arms(control, treatment, pairs)
    looks = read_looks(list(named.values()), arguments)
    if by is None:
        found: list[Any] = list(decide_all([measure_look(look, arguments) for look in looks], correction))
    else:
        found = list(_compare_groups(looks, arguments, by, correction))
    return (
        found[0] if None in named else Comparisons({str(name): each for name, each in zip(named, found, strict=True)})
    )


def _compare_groups(
    looks: Sequence[Look], arguments: CompareArguments, by: str, correction: str | None
) -> Iterator[GroupedComparison]:
    """Compare the arms in each group; p-values are corrected over all groups, metrics and pairs of arms."""
    if arguments.sequential:
        raise ConfigError(f"by={by!r}: sequences take all rows as they arrive; use where= for one group")
    measured = [measure_groups(look, arguments, by) for look in looks]
    decided = iter(decide_all([arms for groups in measured for arms in groups.groups], correction))
    for groups in measured:
        comparisons = {label: next(decided) for label in groups.labels}
        yield GroupedComparison(by, comparisons, groups.interactions, groups.notes)


def _metric_names(metrics: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if metrics is None:
        return None
    names = (metrics,) if isinstance(metrics, str) else checks.texts("metrics", metrics)
    if not names:
        raise checks.wrong("metrics", metrics, "at least one name, or None for the default metrics")
    return tuple(dict.fromkeys(names))
