"""Pairs: values of the same items in both arms, matched by item id."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.declared import item_column
from crucible_nb.events.ids import joint_codes
from crucible_nb.stats.samples.clusters import choose_cluster
from crucible_nb.stats.samples.values import Values, frame_of, is_zero_one, same_kind, values_of
from crucible_nb.utils import checks

_ROUNDING = 2 * np.finfo(np.float64).eps
_REPEATS = {
    "mean": ", taken as their means", "rate": ", taken as their means", "total": ", taken as their sums",
    "quantile": "", "ratio": "",
}  # fmt: skip


class Pairs(NamedTuple):
    """Values of the same items in both arms.

    Attributes:
        control: Values of the control.
        treatment: Values of the treatment; `treatment.x[i]` and `control.x[i]` are of the same item. Weight and cluster
            are those of the pair, equal in both arms.
        exclusions: Sentences on rows left out, and on repeated rows that were averaged.
        rows: All rows of these items, clustered by item (or by `cluster`); None if no item has several rows.
    """

    control: Values
    treatment: Values
    exclusions: tuple[str, ...]
    rows: tuple[Values, Values] | None = None

    @property
    def arms(self) -> tuple[Values, Values]:
        """Values of which the metric is computed: quantiles and ratios of repeated items need all their rows."""
        if self.rows is not None and self.control.metric.kind in {"quantile", "ratio"}:
            return self.rows
        return self.control, self.treatment

    @property
    def difference(self) -> np.ndarray:
        """Differences treatment - control, float64[n]."""
        return np.asarray(self.treatment.x - self.control.x)

    @property
    def weight(self) -> np.ndarray:
        """Weights of the pairs, float64[n]."""
        return self.control.weight


def is_constant_shift(pairs: Pairs) -> bool:
    """Return whether every pair differs by the same number, up to the rounding of its values.

    Examples:
        >>> before = pd.DataFrame({"sample_id": [1, 2, 3], "score": [0.1, 0.2, 0.3]})
        >>> is_constant_shift(pairs_of(before, before.assign(score=[0.4, 0.5, 0.6]), "score"))
        True
    """
    control, treatment, difference = pairs.control.x, pairs.treatment.x, pairs.difference
    away = np.abs(difference[:100] - difference[0])  # most pairs vary at once
    size = np.maximum(np.abs(control), np.abs(treatment))
    if (away > _ROUNDING * (size[:100] + size[0])).any():
        return False
    return bool((np.abs(difference - difference[0]) <= _ROUNDING * (size + size[0])).all())


class _Items(NamedTuple):
    """One arm aggregated by item.

    Attributes:
        values: Values of the arm, by row.
        rows: int64[items], number of rows of each item; 0 for items that the arm does not have.
        x: float64[items], weighted mean of each item; NaN for items that the arm does not have.
        weight: float64[items], mean weight of the rows of each item.
        per: float64[items], mean denominator of a ratio; None for other metrics.
        cluster: int64[items], cluster code of each item; None without clusters.
    """

    values: Values
    rows: np.ndarray
    x: np.ndarray
    weight: np.ndarray
    per: np.ndarray | None
    cluster: np.ndarray | None


def pairs_of(control: Any, treatment: Any, metric: str, by: str = "sample_id", cluster: str | None = None) -> Pairs:
    """Match the values of two arms by item, in the order of the control.

    Args:
        control, treatment: DataFrames or experiments with the column `by`; or lists, arrays or Series of equal length,
            paired by position.
        metric: As for `values_of`.
        by: Column of item ids, "sample_id" or the declared unit; items in one arm only, and rows without an id, are
            left out and counted. Several rows of one item (repeats) are replaced by their weighted mean, those of a
            total by their sum.
        cluster: Column of clusters of similar items, read from the control.

    Raises:
        StatError: No items in common, or lists of different lengths.

    Examples:
        >>> before = pd.DataFrame({"sample_id": ["a", "b", "c"], "score": [1.0, 2.0, 3.0]})
        >>> after = pd.DataFrame({"sample_id": ["c", "a", "a"], "score": [5.0, 2.0, 4.0]})
        >>> pairs = pairs_of(before, after, "score")
        >>> pairs.difference.tolist(), pairs.exclusions[-1]
        ([2.0, 2.0], '1 items of the control have no partner')
    """
    control, treatment = frame_of(control), frame_of(treatment)
    by = item_column((control, treatment), by) or by
    framed = [isinstance(side, pd.DataFrame) for side in (control, treatment)]
    if not any(framed):
        return _by_position(control, treatment, metric, cluster)
    if not all(framed):
        raise StatError("paired: expected two frames with items in common, or two lists of equal length")
    return _by_item(control, treatment, metric, by, cluster)


def pair_correlation(pairs: Pairs) -> float:
    """Weighted correlation of the values of the same items in both arms; NaN if they vary in one arm only, or ratios.

    Of repeated items, that of their means. The variance of a paired difference is Var(control) + Var(treatment)
    - 2 * correlation * root of Var(control) Var(treatment).

    Examples:
        >>> round(pair_correlation(pairs_of([1.0, 2.0, 3.0], [1.0, 2.0, 2.0], "score")), 3)
        0.866

    References:
        Miller: Adding error bars to evals: a statistical approach to language model evaluations. arXiv 2411.00640
        (2024), section 3.2.
    """
    if pairs.control.metric.kind == "quantile" or pairs.control.per is not None:
        return math.nan
    share = pairs.weight / pairs.weight.sum()
    first, second = (side.x - share @ side.x for side in pairs[:2])
    squares = float(share @ first**2) * float(share @ second**2)
    return float(share @ (first * second)) / math.sqrt(squares) if squares > 0 else math.nan


def clustered_pairs(
    control: Any, treatment: Any, metric: str, by: str = "sample_id", cluster: str | None = None
) -> Pairs:
    """Match the values of two arms by item, clustered as `choose_cluster` says; see `pairs_of`."""
    control, treatment = frame_of(control), frame_of(treatment)
    clustering = choose_cluster([control], cluster, by, paired=True)
    pairs = pairs_of(control, treatment, metric, by, clustering.column)
    return _with_notes(pairs, (*(f"warning: {text}" for text in clustering.warnings), *clustering.found))


def independent_pairs(control: Any, treatment: Any, metric: str, by: str = "sample_id") -> Pairs:
    """Match the values of two arms by item, with a warning if items lie in clusters; for tests without clusters."""
    control, treatment = frame_of(control), frame_of(treatment)
    column = choose_cluster([control], None, by, paired=True).column
    pairs = pairs_of(control, treatment, metric, by)
    if column is None:
        return pairs
    return _with_notes(pairs, (f"warning: pairs are taken as independent, although {column} has several items each",))


def _with_notes(pairs: Pairs, notes: tuple[str, ...]) -> Pairs:
    control, treatment = (side._replace(notes=(*side.notes, *notes)) for side in pairs[:2])
    return pairs._replace(control=control, treatment=treatment)


def _by_position(control: Any, treatment: Any, metric: str, cluster: str | None) -> Pairs:
    if len(control) != len(treatment):
        raise StatError(
            f"paired: expected values of the same items in the same order, got {len(control):,} of the control and "
            f"{len(treatment):,} of the treatment; pass frames with a column sample_id to match them by item"
        )
    if cluster is not None:
        raise StatError(f"cluster={cluster!r}: control needs to be a DataFrame or an experiment with that column")
    first, second = same_kind([values_of(control, metric, "control"), values_of(treatment, metric, "treatment")])
    known = np.ones(len(control), bool)
    for side in (first, second):
        known &= True if side.known is None else side.known
    exclusions = () if known.all() else (f"{int((~known).sum()):,} pairs with a missing value",)
    rows = [known if side.known is None else known[side.known] for side in (first, second)]
    sides = [
        side._replace(x=side.x[row], weight=side.weight[row], missing=0, known=None, rows_weight=float(row.sum()))
        for side, row in zip((first, second), rows, strict=True)
    ]
    return Pairs(sides[0], sides[1], exclusions)


def _by_item(control: pd.DataFrame, treatment: pd.DataFrame, metric: str, by: str, cluster: str | None) -> Pairs:
    checks.columns("pair_by", by, control.columns)
    checks.columns("pair_by", by, treatment.columns)
    codes, exclusions = joint_codes([control[by], treatment[by]], by), []
    names, arms, valued = ("control", "treatment"), [], []
    items = int(max(side.max(initial=-1) for side in codes)) + 1
    for name, side, code in zip(names, (control, treatment), codes, strict=True):
        values = values_of(side, metric, name, cluster=cluster if name == "control" else None)
        without_id = int(np.count_nonzero(code < 0))
        if without_id:
            exclusions.append(f"{without_id:,} rows of the {name} without {by}")
        known = code if values.known is None else code[values.known]
        arms.append(_aggregate(values, known, items))
        valued.append(known)
        exclusions += _row_exclusions(arms[-1], name)
    both = np.flatnonzero((arms[0].rows > 0) & (arms[1].rows > 0))
    for name, arm in zip(names, arms, strict=True):
        unmatched = int(np.count_nonzero(arm.rows)) - len(both)
        if unmatched:
            exclusions.append(f"{unmatched:,} items of the {name} have no partner")
    if not len(both):
        kinds = " and ".join(dict.fromkeys(str(side[by].dtype) for side in (control, treatment)))
        raise StatError(f"paired: control and treatment have no {by} ({kinds}) in common; use paired=False")
    weight = _pair_weights(arms[0], arms[1], both)
    rows = None
    if any((arm.rows[both] > 1).any() for arm in arms):
        clusters = np.full(items, -1)
        clusters[both] = both if arms[0].cluster is None else arms[0].cluster[both]
        first, second = (_matched_rows(arm.values, code, clusters) for arm, code in zip(arms, valued, strict=True))
        rows = first, second
    return Pairs(*_matched_values(arms[0], arms[1], both, weight), tuple(exclusions), rows)


def _matched_rows(values: Values, code: np.ndarray, clusters: np.ndarray) -> Values:
    """The rows of matched items, with the cluster of their item."""
    cluster = np.append(clusters, -1)[code]
    kept = cluster >= 0
    return values._replace(
        x=values.x[kept], weight=values.weight[kept], missing=0, rows_weight=float(values.weight[kept].sum()),
        cluster=cluster[kept], per=None if values.per is None else values.per[kept], known=None, lost=None,
        lost_cluster=None,
    )  # fmt: skip


def _aggregate(values: Values, code: np.ndarray, items: int) -> _Items:
    """Aggregate the rows of an arm by item: weighted mean and mean weight of repeated rows."""
    x, weight, per, cluster, known = values.x, values.weight, values.per, values.cluster, code >= 0
    if not known.all():
        x, weight, code = x[known], weight[known], code[known]
        per = None if per is None else per[known]
        cluster = None if cluster is None else cluster[known]
    count = np.bincount(code, minlength=items)
    repeated = bool((count > 1).any())
    total = np.bincount(code, weight, minlength=items)

    def mean(part: np.ndarray) -> np.ndarray:
        each = np.full(items, np.nan)
        each[code] = part
        if repeated:
            with np.errstate(invalid="ignore", divide="ignore"):
                each = np.where(count > 1, np.bincount(code, weight * part, minlength=items) / total, each)
        return each

    groups = None
    if cluster is not None:
        groups = np.full(items, -1)
        groups[code[::-1]] = cluster[::-1]  # the cluster of the first row
    each = mean(x) * count if values.metric.kind == "total" else mean(x)
    return _Items(values, count, each, total / np.maximum(count, 1), None if per is None else mean(per), groups)


def _row_exclusions(arm: _Items, name: str) -> list[str]:
    """Sentences on repeated rows and rows without a value."""
    rows, items, exclusions = int(arm.rows.sum()), int(np.count_nonzero(arm.rows)), []
    if rows > items:
        exclusions.append(
            f"{rows:,} rows of the {name} are repeats of {items:,} items{_REPEATS[arm.values.metric.kind]}"
        )
    if arm.values.missing:
        exclusions.append(f"{arm.values.missing:,} rows of the {name} without a value")
    return exclusions


def _pair_weights(control: _Items, treatment: _Items, both: np.ndarray) -> np.ndarray:
    """Weights of pairs: 1 / the probability that both rows were kept.

    Arms sampled with independent random numbers keep both rows with the product of the probabilities, so weights are
    multiplied. Arms sampled with the same random numbers (same seed and order) keep both rows if the rarer one is kept,
    so the larger weight counts. The weights tell which: with the same random numbers, the products would add up to more
    items than an arm has.
    """
    first, second = control.weight[both], treatment.weight[both]
    product, larger = first * second, np.maximum(first, second)
    items = min(float(side.weight[side.rows > 0].sum()) for side in (control, treatment))
    return np.asarray(larger if product.sum() * larger.sum() > items**2 * (1 + 1e-9) else product)


def _matched_values(control: _Items, treatment: _Items, both: np.ndarray, weight: np.ndarray) -> tuple[Values, Values]:
    cluster = None if control.cluster is None else control.cluster[both]
    parts = [side.x[both] for side in (control, treatment)]
    metric = same_kind([control.values, treatment.values])[0].metric
    if metric.kind == "rate" and not all(map(is_zero_one, parts)):
        metric = metric._replace(kind="mean")  # means of repeated rows lie between 0 and 1
    sampled = control.values.sampled or treatment.values.sampled
    first, second = (
        side.values._replace(
            metric=metric, x=x, weight=weight, missing=0, sampled=sampled, seen=None, sized=False,
            rows_weight=float(weight.sum()), cluster=cluster, per=None if side.per is None else side.per[both],
            known=None, lost=None, lost_cluster=None,
        )
        for side, x in zip((control, treatment), parts, strict=True)
    )  # fmt: skip
    return first, second
