"""Pairs: the same items on both sides, brought together by their ids."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb import checks
from crucible_nb.errors import StatError
from crucible_nb.stats.values import Values, frame_of, values_of


class Pairs(NamedTuple):
    """Values of the same items, side by side.

    Attributes:
        control: Of the control.
        treatment: Of the treatment; `treatment.x[i]` is of the same item as `control.x[i]`.
        exclusions: What was left out or put together, in sentences.
    """

    control: Values
    treatment: Values
    exclusions: tuple[str, ...]

    @property
    def difference(self) -> np.ndarray:
        """float64[n], treatment - control."""
        return np.asarray(self.treatment.x - self.control.x)


def pairs_of(control: Any, treatment: Any, metric: str, by: str = "sample_id", cluster: str | None = None) -> Pairs:
    """Bring the values of two arms together.

    Args:
        control, treatment: DataFrames or experiments with the column `by`; or bare values of equal length, paired by
            position; or two Series, likewise by position.
        metric: As for `values_of`.
        by: Column that names the item; items on one side only, and rows without a name, are left out and counted.
            Several rows of one item (repeats) count as their weighted mean.
        cluster: Column of what groups items, read off the control.

    Raises:
        StatError: No items in common, or bare values of different lengths.
    """
    control, treatment = frame_of(control), frame_of(treatment)
    framed = [isinstance(side, pd.DataFrame) for side in (control, treatment)]
    if not any(framed):
        return _by_position(control, treatment, metric)
    if not all(framed):
        raise StatError("paired: expected two frames with items in common, or two lists of equal length")
    return _by_item(control, treatment, metric, by, cluster)


def _by_position(control: Any, treatment: Any, metric: str) -> Pairs:
    if len(control) != len(treatment):
        raise StatError(
            f"paired: expected values of the same items in the same order, got {len(control):,} of the control and "
            f"{len(treatment):,} of the treatment; hand in frames with a sample_id to have them aligned"
        )
    sides = [pd.Series(np.asarray(side)) if not isinstance(side, pd.Series) else side.reset_index(drop=True)
             for side in (control, treatment)]  # fmt: skip
    known = sides[0].notna().to_numpy() & sides[1].notna().to_numpy()
    said = () if known.all() else (f"{int((~known).sum()):,} pairs with a missing value",)
    first, second = (
        values_of(side[known], metric, name) for side, name in zip(sides, ("control", "treatment"), strict=True)
    )
    return Pairs(first, second, said)


def _by_item(control: pd.DataFrame, treatment: pd.DataFrame, metric: str, by: str, cluster: str | None) -> Pairs:
    tables, values, said = [], [], []
    for name, side in (("control", control), ("treatment", treatment)):
        checks.columns("pair_by", by, side.columns)
        named = side[side[by].notna()]
        if len(named) < len(side):
            said.append(f"{len(side) - len(named):,} rows of the {name} without {by}")
        found = values_of(named, metric, name, cluster=cluster if name == "control" else None)
        known = named[found.metric.column].notna()
        if found.metric.per is not None:
            known &= named[found.metric.per].notna()
        table = _items(named.loc[known.to_numpy(), by], found)
        if len(table) < len(found.x):
            said.append(
                f"{len(found.x):,} rows of the {name} are repeats of {len(table):,} items, taken as their means"
            )
        if found.missing:
            said.append(f"{found.missing:,} rows of the {name} without a value")
        tables.append(table)
        values.append(found)
    first, second = tables
    common = first.index.intersection(second.index, sort=False)
    for name, table in zip(("control", "treatment"), tables, strict=True):
        if len(table) > len(common):
            said.append(f"{len(table) - len(common):,} items of the {name} have no partner")
    if not len(common):
        raise StatError(f"paired: control and treatment have no {by} in common; use paired=False")
    return Pairs(_side(values[0], first.loc[common]), _side(values[1], second.loc[common]), tuple(said))


def _items(items: pd.Series, found: Values) -> pd.DataFrame:
    """One row an item: weighted mean, mean weight, cluster."""
    table = pd.DataFrame({"x": found.x, "w": found.weight}, index=pd.Index(items.astype(object), name=None))
    if found.cluster is not None:
        table["cluster"] = found.cluster
    if found.per is not None:
        table["per"] = found.per
    if table.index.is_unique:
        return table
    averaged = [name for name in ("x", "per") if name in table]
    for name in averaged:
        table[name] *= table.w
    grouped = table.groupby(level=0, sort=False)
    kinds = {"w": "sum", **dict.fromkeys(averaged, "sum")} | ({"cluster": "first"} if "cluster" in table else {})
    merged = grouped.agg(kinds)
    for name in averaged:
        merged[name] /= merged.w
    merged["w"] /= grouped.size()
    return merged


def _side(found: Values, table: pd.DataFrame) -> Values:
    metric = found.metric
    x = table.x.to_numpy(np.float64)
    if metric.kind == "rate" and not np.isin(x, (0.0, 1.0)).all():
        metric = metric._replace(kind="mean")  # a mean of repeats is a number between
    return found._replace(
        metric=metric, x=x, weight=table.w.to_numpy(np.float64), missing=0, seen=None, sized=False,
        rows_weight=float(table.w.sum()),
        cluster=table.cluster.to_numpy(np.int64) if "cluster" in table else None,
        per=table.per.to_numpy(np.float64) if "per" in table else None,
    )  # fmt: skip
