"""`cr.table`: one table of many arms, groups of rows, or levels of a column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from crucible_nb.comparison.arms import Arm, own_name, read_arm
from crucible_nb.comparison.compare import Correction, Pairs, compare
from crucible_nb.comparison.grouped import GroupedComparison
from crucible_nb.comparison.many_arms import named_arms
from crucible_nb.comparison.measured_arms import default_metrics
from crucible_nb.comparison.result import Comparison
from crucible_nb.comparison.table_notes import said_of
from crucible_nb.comparison.table_result import PlainNumber, Table, TableCell
from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import PLAIN, metric_of
from crucible_nb.events.metric_values import plain_number
from crucible_nb.events.where import Where
from crucible_nb.stats.estimates.confidence import Estimate, confidence_interval
from crucible_nb.stats.estimates.notes import Said, joined_notes
from crucible_nb.stats.samples.groups import groups_of
from crucible_nb.stats.samples.values import weights_of
from crucible_nb.utils import checks

_OF_SAMPLE = (
    "the rows are a sample: single values are those of the kept rows, numbers of events the sums of their weights"
)
_Levels = list[tuple[Any, dict[str, pd.DataFrame]]]


def table(
    arms: Any,
    by: str | None = None,
    metrics: str | Sequence[str] | None = None,
    cluster: str | None = None,
    pairs: Pairs = "control",
    *,
    pair_by: str | None = "sample_id",
    confidence: float = 0.95,
    correction: Correction = "holm",
    direction: Mapping[str, str] | None = None,
    where: Where = None,
) -> Table:
    """Make one table of many arms, groups or levels: estimates with standard errors and intervals, and differences.

    Estimates are those of `cr.confidence_interval`, differences those of `cr.compare`: pairs, clusters, repeats and
    weights are read off the rows, or as `cr.start(unit=, cluster=)` declared them. A look at a table is no look of a
    plan.

    Args:
        arms: A mapping of names to arms, a list of arms, or one experiment or DataFrame. The first arm is the control.
        by: Column of groups: the arms are compared in each group. Of one DataFrame, each level of the column is an arm.
        metrics: Names of metrics; None takes those of success_rate, p95_latency_ms and mean_cost_usd that all have. A
            single value (min_, max_, first_ or last_ and a column) or a number of events is a plain number, without
            interval and differences.
        cluster: Column of clusters of similar rows or items, as for `cr.compare`.
        pairs: "control" compares each arm with the first, "all" each arm with each other one.
        pair_by: Column of item ids, as for `cr.compare`; None takes the arms as independent.
        confidence: Coverage of the intervals, which are not corrected.
        correction: Correction of p-values over all metrics, pairs of arms and groups: "holm", "bonferroni", "bh", None.
        direction: Direction that is better, e.g. {"score": "up"}, for the verdicts.
        where: Condition on the rows of all arms, as for `query_window`.

    Returns:
        Table, with `to_frame`, `to_markdown` and `to_latex`.

    Raises:
        ConfigError, SchemaError, StatError: As for `cr.compare`.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> rng = np.random.default_rng(0)
        >>> hard = rng.normal(size=400)
        >>> rows = {name: pd.DataFrame({"sample_id": range(400), "success": rng.normal(size=400) + gain > hard})
        ...         for name, gain in {"base": 0.2, "mid": 0.5, "big": 0.9}.items()}
        >>> table = cr.table(rows, pairs="all")
        >>> table.to_frame()[["arm", "against", "verdict"]].values.tolist()[1:]
        [['mid', 'base', 'better'], ['big', 'base', 'better'], ['big', 'mid', 'better']]

    References:
        Miller: Adding error bars to evals: a statistical approach to language model evaluations. arXiv 2411.00640
        (2024).
    """
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    checks.one_of("pairs", pairs, ("control", "all"))
    names = None if metrics is None else (metrics,) if isinstance(metrics, str) else checks.texts("metrics", metrics)
    read = _read(arms, names, where)
    chosen = names or default_metrics(read, direction or {})
    levels, group_by, missing = _levels(read, by)
    compared: dict[Any, dict[tuple[str, str], Comparison]] = {group: {} for group, _ in levels}
    said, tests = list[Said](), list[str]()
    frames = levels[0][1] if group_by is None else {arm.name: arm.frame for arm in read}
    plain = [metric for metric in chosen if all(_is_plain(metric, frame) for frame in frames.values())]
    tested = [metric for metric in chosen if metric not in plain]
    if len(frames) > 1 and tested:
        result = compare(
            frames, metrics=tested, pair_by=pair_by, correction=correction, cluster=cluster, pairs=pairs, by=group_by,
            direction=direction, alpha=1 - confidence,
        )  # fmt: skip
        said, tests = _collect(list[Any](result.values()), compared)
    estimates, warnings = _estimate(levels, chosen, plain, cluster, confidence)
    cells = [
        TableCell(metric, group, name, estimates[metric, group, name], _differences(compared[group], name, metric))
        for metric in chosen
        for group, parts in levels
        for name in parts
    ]
    first = next((difference for cell in cells for _, difference in cell.differences), None)
    arms = [name + _of_group(group) for group, parts in levels for name in parts]
    pairs_of_arms = [
        f"{name} against {other}{_of_group(group)}" for group, each in compared.items() for name, other in each
    ]
    notes = joined_notes([*said, *warnings], chosen, [arms, pairs_of_arms])
    lines = [*missing, *notes, *tests, *_correction_notes(None if first is None else first.correction)]
    return Table(
        cells, by=group_by, confidence=confidence, correction=None if first is None else first.correction,
        notes=tuple(dict.fromkeys(lines)),
    )  # fmt: skip


def _read(arms: Any, metrics: Sequence[str] | None, where: Where) -> list[Arm]:
    """Read the arms, each with a name of its own."""
    named = named_arms(arms, numbered="arm")
    if named is None:
        named = {own_name(arms) or "all": arms}
    return [read_arm(data, name, metrics, where)._replace(name=name) for name, data in named.items()]


def _levels(arms: Sequence[Arm], by: str | None) -> tuple[_Levels, str | None, list[str]]:
    """The arms of each group, the column of the groups, and a sentence on rows without one.

    Of a single arm, the levels of the column are the arms, and there is one group, None.
    """
    frames = {arm.name: arm.frame for arm in arms}
    if by is None:
        return [(None, frames)], None, []
    groups, missing = groups_of(list(frames.values()), by)
    note = [f"{missing:,} rows without {by} are left out"] if missing else []
    if len(arms) == 1:
        [frame] = frames.values()
        return [(None, {group.label: frame[group.rows[0]] for group in groups})], None, note
    split: _Levels = [
        (group.label, {name: frame[rows] for (name, frame), rows in zip(frames.items(), group.rows, strict=True)})
        for group in groups
    ]
    return split, by, note


def _collect(
    results: Iterable[Comparison | GroupedComparison], compared: dict[Any, dict[tuple[str, str], Comparison]]
) -> tuple[list[Said], list[str]]:
    """Sort comparisons by group and by (treatment, control); return what they say, and their interaction tests."""
    said, tests = list[Said](), list[str]()
    for result in results:
        groups = dict(result) if isinstance(result, GroupedComparison) else {None: result}
        if isinstance(result, GroupedComparison):
            tests += [f"{result.treatment} against {result.control}: {t.method}" for t in result.interaction.values()]
        for group, comparison in groups.items():
            compared[group][comparison.treatment, comparison.control] = comparison
            said += said_of(comparison, _of_group(group))
    return said, tests


def _of_group(group: Any) -> str:
    return "" if group is None else f" ({group})"


def _estimate(
    levels: _Levels, metrics: Sequence[str], plain: Sequence[str], cluster: str | None, confidence: float
) -> tuple[dict[tuple[str, Any, str], Estimate | PlainNumber | None], list[Said]]:
    """The estimate of each metric, group and arm; with sentences on those that are too small, and warnings."""
    found: dict[tuple[str, Any, str], Estimate | PlainNumber | None] = {}
    said: list[Said] = []
    for metric in metrics:
        for group, parts in levels:
            for name, frame in parts.items():
                place = name + _of_group(group)
                if metric in plain:
                    found[metric, group, name] = PlainNumber(*plain_number(frame, metric_of(metric, frame.columns)))
                    if (weights_of(frame) != 1).any():
                        said.append(Said(_OF_SAMPLE, metric, place))
                    continue
                try:
                    estimate = confidence_interval(frame, metric, confidence, of="process", cluster=cluster)
                except StatError as error:
                    found[metric, group, name] = None
                    said.append(Said(f"no estimate: {error}", metric, place))
                    continue
                found[metric, group, name] = estimate
                said += [Said(f"warning: {text}", metric, place) for text in estimate.warnings]
    return found, said


def _differences(compared: dict[tuple[str, str], Comparison], name: str, metric: str) -> tuple[Any, ...]:
    pairs = ((control, each) for (treatment, control), each in compared.items() if treatment == name)
    return tuple((control, each[metric]) for control, each in pairs if metric in each)


def _is_plain(metric: str, frame: pd.DataFrame) -> bool:
    return metric_of(metric, frame.columns).kind in PLAIN


def _correction_notes(correction: str | None) -> list[str]:
    if correction is None:
        return []
    method, _, tests = correction.partition(", ")
    return [f"p-values are corrected by {method.capitalize()} over {tests}: all metrics, pairs of arms and groups; "
            "intervals are not"]  # fmt: skip
