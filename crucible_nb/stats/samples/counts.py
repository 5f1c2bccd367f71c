"""Counts of categories: tables of counts given by the user, and labels of arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.columns import factorize, one_column
from crucible_nb.events.ids import joint_codes
from crucible_nb.events.metric_names import Metric, metric_of
from crucible_nb.events.metric_values import metric_numbers
from crucible_nb.events.sampling_info import check_weights, facts_of
from crucible_nb.stats.samples.clusters import INDEPENDENT, Clustering, choose_cluster
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import bare_series, frame_of, weights_of
from crucible_nb.utils import checks

_MANY = 20


def counts_of(table: Any) -> np.ndarray:
    """Convert a table of counts to int64.

    Raises:
        StatError: Anything but whole numbers >= 0 in rows of equal length.

    Examples:
        >>> counts_of([[3.0, 1], [1, 3]]).tolist()
        [[3, 1], [1, 3]]
    """
    try:
        array = np.asarray(table, np.float64)
    except (TypeError, ValueError):
        array = np.full(1, np.nan)
    if not array.size or not (np.isfinite(array) & (array >= 0) & (array == np.floor(array))).all():
        raise checks.wrong("table", table, "a table of counts: whole numbers >= 0, rows of equal length", StatError)
    return array.astype(np.int64)


def counts_2x2(table: Any, what: str) -> np.ndarray:
    """Convert a 2x2 table of counts to int64.

    Raises:
        StatError: Another shape, or all counts 0.
    """
    counts = counts_of(table)
    if counts.shape != (2, 2) or not counts.any():
        shape = " x ".join(map(str, counts.shape))
        raise StatError(f"table: expected 2 x 2 counts of {what}, or a control and a treatment; got {shape}")
    return counts


def discordant_of(pairs: Pairs) -> tuple[float, float]:
    """Count the discordant pairs: true only in the control, true only in the treatment."""
    control, treatment = pairs.control.x, pairs.treatment.x
    return float(control @ (1 - treatment)), float(treatment @ (1 - control))


class Labels(NamedTuple):
    """The categories of one arm.

    Attributes:
        values: Labels of the rows that have one, in order.
        weight: float64[n], weights of these rows.
        cluster: int64[n], codes of clusters; None for independent rows.
        missing: Number of rows without a label.
        sampled: Whether rows are a weighted sample of the events.
    """

    values: pd.Series
    weight: np.ndarray
    cluster: np.ndarray | None
    missing: int
    sampled: bool

    @property
    def plain(self) -> bool:
        """Whether rows are neither sampled nor clustered."""
        return self.cluster is None and not self.sampled


def labels_of(data: Any, metric: str, name: str, codes: np.ndarray | None = None) -> Labels:
    """Read the categories of one arm: booleans, or any labels.

    Args:
        data: Experiment, DataFrame, Series, list or array.
        metric: A column, or "success_rate".
        name: Name of the argument, for messages.
        codes: Cluster codes of its rows, see `joint_clusters`.

    Raises:
        SchemaError: No such column.
        StatError: No labels, or weights that are negative or not finite.
    """
    data, sampled = frame_of(data), False
    if isinstance(data, pd.DataFrame):
        check_weights(data)
        labels = _labels_of_frame(data, metric_of(metric, data.columns))
        weight = weights_of(data)
        sampled = bool((weight[weight > 0] != 1).any()) or len(data) < (facts_of(data).get("seen") or 0)
    else:
        labels = bare_series(data, name)
        weight = np.ones(len(labels))
    present = weight > 0  # rows of weight 0 count nowhere
    known = present & labels.notna().to_numpy()
    if not known.any() or not weight[known].sum() > 0:
        raise StatError(f"{metric}: expected at least 1 row with a value in {name}, got 0")
    codes = None if codes is None else codes[known]
    return Labels(labels[known].astype(object), weight[known], codes, int((present & ~known).sum()), sampled)


def _labels_of_frame(frame: pd.DataFrame, metric: Metric) -> pd.Series:
    if metric.condition is not None:
        holds = metric_numbers(frame, metric)
        return pd.Series(pd.arrays.BooleanArray(holds == 1, np.isnan(holds)), frame.index)
    checks.columns("metric", metric.column, frame.columns)
    return one_column(frame[metric.column], metric.column)


def joint_clusters(groups: Sequence[Any], cluster: str | None) -> tuple[list[np.ndarray | None], Clustering]:
    """Codes of the clusters of each group, and how the clusters were chosen; see `choose_cluster`.

    A cluster that occurs in several groups has the same code in all of them.

    Raises:
        SchemaError: No such column.
        StatError: A group without columns.
    """
    frames = [frame_of(group) for group in groups]
    clustering = choose_cluster(frames, cluster)
    if clustering.column is None:
        return [None] * len(groups), clustering
    if not all(isinstance(frame, pd.DataFrame) for frame in frames):
        if not clustering.given:
            return [None] * len(groups), INDEPENDENT
        raise StatError(f"cluster={cluster!r}: every group needs to be a DataFrame or an experiment with that column")
    column, columns = clustering.column, []
    for frame in frames:
        if clustering.given:
            checks.columns("cluster", column, frame.columns)
        columns.append(frame[column] if column in frame.columns else pd.Series([None] * len(frame), dtype=object))
    codes = np.concatenate(joint_codes(columns, column))
    alone = codes < 0
    codes[alone] = np.arange(int(alone.sum())) + codes.max(initial=-1) + 1
    return list(np.split(codes, np.cumsum([len(frame) for frame in frames])[:-1])), clustering


def categories_of(arms: Sequence[Labels], metric: str) -> list[Any]:
    """All labels that occur in any arm, sorted.

    Raises:
        StatError: Only one label, or more than 20 different floats.
    """
    labels = list(factorize(pd.concat([arm.values for arm in arms]), metric)[1])
    if len(labels) < 2:
        raise StatError(
            f"{metric}: every value is {labels[0]!r} in every arm, so there is no difference to test; "
            "cr.confidence_interval gives the interval of the proportion"
        )
    if len(labels) > _MANY and all(isinstance(label, float) for label in labels):
        raise StatError(f"{metric}: {len(labels)} different numbers are measurements, not categories; use anova")
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=str)


def weighted_counts(arm: Labels, categories: Sequence[Any]) -> np.ndarray:
    """Sum the weights by category, as float64[categories]."""
    return np.bincount(positions(arm, categories), arm.weight, minlength=len(categories))


def positions(arm: Labels, categories: Sequence[Any]) -> np.ndarray:
    """Index of each label among the categories, as int64[n]."""
    return np.asarray(pd.Index(list(categories), dtype=object).get_indexer(pd.Index(arm.values, dtype=object)))
