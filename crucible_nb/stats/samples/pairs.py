"""Pairs: the same items on both sides, brought together by their ids."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.ids import joint_codes
from crucible_nb.stats.samples.values import Values, frame_of, values_of
from crucible_nb.utils import checks


class Pairs(NamedTuple):
    """Values of the same items, side by side.

    Attributes:
        control: Of the control.
        treatment: Of the treatment; `treatment.x[i]` is of the same item as `control.x[i]`, and weight and cluster are
            those of the pair, alike on both sides.
        exclusions: What was left out or put together, in sentences.
    """

    control: Values
    treatment: Values
    exclusions: tuple[str, ...]

    @property
    def difference(self) -> np.ndarray:
        """float64[n], treatment - control."""
        return np.asarray(self.treatment.x - self.control.x)

    @property
    def weight(self) -> np.ndarray:
        """float64[n], pairs that each stands for."""
        return self.control.weight


class _Items(NamedTuple):
    """One arm item by item: its rows of each item, their mean and mean weight; 0 and NaN for items it has not."""

    values: Values
    rows: np.ndarray
    x: np.ndarray
    weight: np.ndarray
    per: np.ndarray | None
    cluster: np.ndarray | None


def pairs_of(control: Any, treatment: Any, metric: str, by: str = "sample_id", cluster: str | None = None) -> Pairs:
    """Bring the values of two arms together, in the order of the control.

    Args:
        control, treatment: DataFrames or experiments with the column `by`; or bare values of equal length, paired by
            position; or two Series, likewise by position.
        metric: As for `values_of`.
        by: Column that names the item; items on one side only, and rows without a name, are left out and counted.
            Several rows of one item (repeats) count as their weighted mean.
        cluster: Column of what groups items, read off the control.

    Raises:
        StatError: No items in common, or bare values of different lengths.

    Examples:
        >>> before = pd.DataFrame({"sample_id": ["a", "b", "c"], "score": [1.0, 2.0, 3.0]})
        >>> after = pd.DataFrame({"sample_id": ["c", "a", "a"], "score": [5.0, 2.0, 4.0]})
        >>> pairs = pairs_of(before, after, "score")
        >>> pairs.difference.tolist(), pairs.exclusions[-1]
        ([2.0, 2.0], '1 items of the control have no partner')
    """
    control, treatment = frame_of(control), frame_of(treatment)
    framed = [isinstance(side, pd.DataFrame) for side in (control, treatment)]
    if not any(framed):
        return _by_position(control, treatment, metric, cluster)
    if not all(framed):
        raise StatError("paired: expected two frames with items in common, or two lists of equal length")
    return _by_item(control, treatment, metric, by, cluster)


def _by_position(control: Any, treatment: Any, metric: str, cluster: str | None) -> Pairs:
    if len(control) != len(treatment):
        raise StatError(
            f"paired: expected values of the same items in the same order, got {len(control):,} of the control and "
            f"{len(treatment):,} of the treatment; hand in frames with a sample_id to have them aligned"
        )
    if cluster is not None:
        raise StatError(f"cluster={cluster!r}: control needs to be a DataFrame or an experiment with that column")
    first, second = (values_of(side, metric, name) for side, name in ((control, "control"), (treatment, "treatment")))
    known = np.ones(len(control), bool)
    for side in (first, second):
        known &= True if side.known is None else side.known
    said = () if known.all() else (f"{int((~known).sum()):,} pairs with a missing value",)
    rows = [known if side.known is None else known[side.known] for side in (first, second)]
    sides = [
        side._replace(x=side.x[row], weight=side.weight[row], missing=0, known=None, rows_weight=float(row.sum()))
        for side, row in zip((first, second), rows, strict=True)
    ]
    return Pairs(sides[0], sides[1], said)


def _by_item(control: pd.DataFrame, treatment: pd.DataFrame, metric: str, by: str, cluster: str | None) -> Pairs:
    checks.columns("pair_by", by, control.columns)
    checks.columns("pair_by", by, treatment.columns)
    codes, said = _codes(control[by], treatment[by]), []
    names, items = ("control", "treatment"), []
    least = int(max(side.max(initial=-1) for side in codes)) + 1
    for name, side, code in zip(names, (control, treatment), codes, strict=True):
        found = values_of(side, metric, name, cluster=cluster if name == "control" else None)
        nameless = int(np.count_nonzero(code < 0))
        if nameless:
            said.append(f"{nameless:,} rows of the {name} without {by}")
        items.append(_items(found, code if found.known is None else code[found.known], least))
        said += _found(items[-1], name, found)
    both = np.flatnonzero((items[0].rows > 0) & (items[1].rows > 0))
    for name, one in zip(names, items, strict=True):
        alone = int(np.count_nonzero(one.rows)) - len(both)
        if alone:
            said.append(f"{alone:,} items of the {name} have no partner")
    if not len(both):
        kinds = " and ".join(dict.fromkeys(str(side[by].dtype) for side in (control, treatment)))
        raise StatError(f"paired: control and treatment have no {by} ({kinds}) in common; use paired=False")
    weight = _weight(items[0], items[1], both)
    return Pairs(*_sides(items[0], items[1], both, weight), tuple(said))


def _codes(control: pd.Series, treatment: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The items of both arms, counted from 0 in the order in which they first come; -1 for rows without one."""
    first, second = joint_codes([control, treatment], str(control.name))
    return first, second


def _items(found: Values, code: np.ndarray, items: int) -> _Items:
    """One value an item: itself, or the weighted mean of its repeats with their mean weight."""
    x, weight, per, cluster, named = found.x, found.weight, found.per, found.cluster, code >= 0
    if not named.all():
        x, weight, code = x[named], weight[named], code[named]
        per = None if per is None else per[named]
        cluster = None if cluster is None else cluster[named]
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
        groups[code[::-1]] = cluster[::-1]  # that of the first row
    return _Items(found, count, mean(x), total / np.maximum(count, 1), None if per is None else mean(per), groups)


def _found(items: _Items, name: str, found: Values) -> list[str]:
    rows, held, said = int(items.rows.sum()), int(np.count_nonzero(items.rows)), []
    if rows > held:
        said.append(f"{rows:,} rows of the {name} are repeats of {held:,} items, taken as their means")
    if found.missing:
        said.append(f"{found.missing:,} rows of the {name} without a value")
    return said


def _weight(control: _Items, treatment: _Items, both: np.ndarray) -> np.ndarray:
    """Pairs that each pair stands for: 1 / the probability that both of its sides were kept.

    Arms sampled by coins of their own keep both sides with the product of the probabilities, so that the weights are
    multiplied. Arms sampled by the same coins (the same seed and order) keep both when they keep the rarer one, and the
    larger weight counts. The rows say which: products of the same coins would add up to more items than an arm has.
    """
    first, second = control.weight[both], treatment.weight[both]
    product, larger = first * second, np.maximum(first, second)
    items = min(float(side.weight[side.rows > 0].sum()) for side in (control, treatment))
    return np.asarray(larger if product.sum() * larger.sum() > items**2 * (1 + 1e-9) else product)


def _sides(control: _Items, treatment: _Items, both: np.ndarray, weight: np.ndarray) -> tuple[Values, Values]:
    cluster = None if control.cluster is None else control.cluster[both]
    parts = [side.x[both] for side in (control, treatment)]
    metric = control.values.metric
    if metric.kind == "rate" and not all(((x == 0) | (x == 1)).all() for x in parts):
        metric = metric._replace(kind="mean")  # a mean of repeats is a number between
    sampled = control.values.sampled or treatment.values.sampled
    first, second = (
        side.values._replace(
            metric=metric, x=x, weight=weight, missing=0, sampled=sampled, seen=None, sized=False,
            rows_weight=float(weight.sum()), cluster=cluster, per=None if side.per is None else side.per[both],
            known=None, lost=None,
        )
        for side, x in zip((control, treatment), parts, strict=True)
    )  # fmt: skip
    return first, second
