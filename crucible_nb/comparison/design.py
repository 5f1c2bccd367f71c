"""Design of a comparison, read from the rows: pairs, clusters, weights, time blocks, repeated runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from crucible_nb.comparison.arguments import CompareArguments
from crucible_nb.comparison.arms import Arm
from crucible_nb.errors import StatError
from crucible_nb.events.declared import ITEM, item_column
from crucible_nb.events.ids import id_codes, joint_codes
from crucible_nb.events.metric_names import metric_of
from crucible_nb.stats.samples.clusters import INDEPENDENT, Clustering, choose_cluster
from crucible_nb.utils import checks

_SHARED = 0.5


@dataclass(frozen=True)
class Design:
    """Dependence of the rows of two arms, as the comparison uses it.

    Attributes:
        pair_by: Column of the item ids that both arms share; None for independent arms.
        clustering: Clusters of similar rows.
        sampled: Whether rows are a weighted sample of the events.
        resample: Width of time blocks; None for rows.
        notes: Sentences on how the design was chosen.
        warnings: Reasons to doubt that rows are independent.
        once: Column of items of which a sequence counts the first row only; None counts all rows.
        of_runs: Whether whole runs are compared, one value per run.
    """

    pair_by: str | None = None
    clustering: Clustering = INDEPENDENT
    sampled: bool = False
    resample: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    once: str | None = None
    of_runs: bool = False

    @property
    def cluster(self) -> str | None:
        """Column of the clusters; None for independent rows."""
        return self.clustering.column


def read_design(control: Arm, treatment: Arm, arguments: CompareArguments) -> Design:
    """Read the design from the rows and the arguments of `cr.compare`.

    Raises:
        SchemaError: No such column.
        StatError: Pairs are required and there are no common items, or independent arms and there are many; repeated
            runs, and fewer than two of them; time blocks of rows without times.
    """
    sampled = any(_is_sampled(arm.frame) for arm in (control, treatment))
    arguments = replace(arguments, pair_by=item_column((control.frame, treatment.frame), arguments.pair_by))
    if arguments.group_by is not None:
        _check_runs(control, treatment, arguments.group_by)
        by = arguments.group_by
        return Design(sampled=sampled, notes=(f"whole runs ({by}) are compared, one value per run",), of_runs=True)
    if arguments.resample is not None:
        _check_times(control, treatment, arguments.resample)
        blocks = f"errors between time blocks of {arguments.resample}"
        return Design(sampled=sampled, resample=arguments.resample, notes=(blocks,))
    pair_by, pair_notes = _choose_pairs(control.frame, treatment.frame, arguments.pair_by, paired=arguments.paired)
    clustering = _choose_cluster(control, treatment, arguments, pair_by)
    if arguments.sequential:
        quantiles = arguments.metrics is None or any(
            metric_of(name, control.frame.columns).kind == "quantile" for name in arguments.metrics
        )
        return _sequential_design(arguments, pair_by, clustering, pair_notes, sampled=sampled, quantiles=quantiles)
    notes, once = (*pair_notes, *clustering.notes), clustering._replace(warnings=())
    return Design(pair_by, once, sampled, None, notes, clustering.warnings)


def _sequential_design(
    arguments: CompareArguments, pair_by: str | None, clustering: Clustering, notes: tuple[str, ...], *, sampled: bool,
    quantiles: bool,
) -> Design:  # fmt: skip
    """Design of a sequence, which has pairs but no clusters, and counts an item once."""
    if pair_by is not None and quantiles:
        notes = (*notes, "quantiles take the arms as independent, also those of paired items")
    column, item = clustering.column, arguments.pair_by or ITEM
    once = pair_by or (item if column == item else None)
    warnings: tuple[str, ...] = ()
    if column not in {None, once}:
        rows = "items" if pair_by is not None else "rows"
        warning = f"a sequence takes {rows} as independent, but {column} has several each: use one row per {column}"
        warnings = (warning,)
    return Design(pair_by, INDEPENDENT, sampled, None, notes, warnings, once)


def _choose_pairs(
    control: pd.DataFrame, treatment: pd.DataFrame, by: str | None, *, paired: bool | None
) -> tuple[str | None, tuple[str, ...]]:
    """Choose the column of item ids, None for independent arms; with notes."""
    shared = _shared_items(control, treatment, by)
    if paired and not shared:
        raise StatError(f"paired=True: both arms need a column {by!r} with items in common")
    if shared is None:
        return None, ()
    if paired is False and shared >= _SHARED:
        raise StatError(
            f"paired=False: {shared:.0%} of the items ({by}) are in both arms, so the arms are not independent; "
            "leave out paired, or use cr.t_test(..., paired=False) to test them as independent arms nevertheless"
        )
    if paired or shared >= _SHARED:
        return by, (f"paired: {shared:.0%} of the items ({by}) are in both arms",)
    if not shared:
        dtypes = " and ".join(dict.fromkeys(str(frame[by].dtype) for frame in (control, treatment)))
        return None, (f"independent arms: both have {by} ({dtypes}), and no item is in both",)
    return None, (f"independent arms: only {shared:.0%} of the items ({by}) are in both arms",)


def _shared_items(first: pd.DataFrame, second: pd.DataFrame, by: str | None) -> float | None:
    """Proportion of the items of the smaller arm that are in both arms; None without items in an arm."""
    if by is None or by not in first.columns or by not in second.columns:
        return None
    one, two = (np.unique(codes[codes >= 0]) for codes in joint_codes([first[by], second[by]], by))
    if not len(one) or not len(two):
        return None
    return len(np.intersect1d(one, two, assume_unique=True)) / min(len(one), len(two))


def _choose_cluster(control: Arm, treatment: Arm, arguments: CompareArguments, pair_by: str | None) -> Clustering:
    frames = [control.frame, treatment.frame]
    if arguments.cluster is not None:
        for frame in frames:
            checks.columns("cluster", arguments.cluster, frame.columns)
    if pair_by is not None:
        return choose_cluster(frames[:1], arguments.cluster, pair_by, paired=True)
    return choose_cluster(frames, arguments.cluster, arguments.pair_by)


def _check_runs(control: Arm, treatment: Arm, by: str) -> None:
    for arm in (control, treatment):
        checks.columns("group_by", by, arm.frame.columns)
        runs = len(id_codes(arm.frame[by], by)[1])
        if runs < 2:
            raise StatError(f"group_by={by!r}: expected at least 2 runs in each arm, {arm.name} has {runs}")


def _check_times(control: Arm, treatment: Arm, resample: str) -> None:
    checks.duration("resample", resample)
    for arm in (control, treatment):
        if not isinstance(arm.frame.index, pd.DatetimeIndex):
            raise StatError(f"resample={resample!r}: {arm.name} needs a DatetimeIndex")


def _is_sampled(frame: pd.DataFrame) -> bool:
    return "weight" in frame.columns and bool((frame["weight"] != 1).any())
