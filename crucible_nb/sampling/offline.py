"""Samplers on DataFrames: take a sample, put samples together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError
from crucible_nb.events.columns import numbers_of
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.events.sampling_info import facts_of, mark, sampling_facts
from crucible_nb.events.where import Where, select
from crucible_nb.sampling.base import Sampler
from crucible_nb.sampling.importance import Priorities
from crucible_nb.sampling.random_numbers import RandomStream
from crucible_nb.utils import checks


def sample(frame: pd.DataFrame, sampler: Sampler, seed: int = 0, where: Where = None) -> pd.DataFrame:
    """A sample of the rows, each with the weight of what it stands for.

    Args:
        frame: Any DataFrame; its order is the order of the stream. A `weight` column is multiplied.
        sampler: One of `cr.sampling`, or your own.
        seed: The same seed and rows give the same sample.
        where: Condition on the rows, as for `query_window`: the others are left out before sampling.

    Returns:
        The kept rows in their order, with `weight`; `attrs` remember that they were sampled.

    Raises:
        ConfigError: `frame` is no DataFrame, `sampler` no sampler.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> rows = cr.sampling.sample(pd.DataFrame({"x": range(100)}), cr.sampling.Reservoir(5), seed=1)
        >>> len(rows), rows.weight.sum()
        (5, np.float64(100.0))
    """
    if not isinstance(frame, pd.DataFrame):
        raise checks.wrong("frame", frame, "a DataFrame")
    if not isinstance(sampler, Sampler):
        raise checks.wrong("sampler", sampler, "a sampler such as cr.sampling.Uniform(0.1)")
    frame = select(frame, where)
    running = sampler.begin(checks.whole("seed", seed))
    choice = running.choose(EventColumns.of_frame(frame))
    rows = np.setdiff1d(np.flatnonzero(choice.keep), running.settle())
    now = running.weights(rows)
    weight = choice.weight[rows] if now is None else now
    kept = frame.iloc[rows].copy()
    kept["weight"] = weight * numbers_of(frame["weight"], "weight")[rows] if "weight" in frame.columns else weight
    facts = sampling_facts(sampler, sized_by=sampler.sized_by, revises=sampler.revises)
    return mark(kept, {**facts, "seen": len(frame), "kept": len(kept)})


def merge(
    samples: Sequence[pd.DataFrame], size: int | None = None, by: str | None = None, seed: int = 0
) -> pd.DataFrame:
    """Samples of several workers or partitions as one.

    Rows of different streams next to each other are a valid sample of both, weights as they are. With `size` they are
    thinned to that many rows by priority sampling, and the weights of those that stay make up for it.

    Args:
        samples: Frames with `weight` (without, each row stands for itself).
        size: Rows at most; None keeps all.
        by: Thin by weight times this column instead of by weight, so that its total stays sharp.
        seed: Of the thinning.

    Returns:
        The rows in their order, a DatetimeIndex sorted.

    Raises:
        ConfigError: No samples, or one is no DataFrame.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> frames = [pd.DataFrame({"x": range(n)}) for n in (100, 900)]
        >>> parts = [cr.sampling.sample(frame, cr.sampling.Reservoir(50), seed=1) for frame in frames]
        >>> cr.sampling.merge(parts).weight.sum(), len(cr.sampling.merge(parts, size=20))
        (np.float64(1000.0), 20)

    References:
        Duffield, Lund, Thorup: Priority sampling for estimation of arbitrary subset sums. JACM 54 (2007).
    """
    frames = list(samples)
    if not frames or not all(isinstance(frame, pd.DataFrame) for frame in frames):
        raise ConfigError("samples: expected one or more DataFrames")
    size = checks.whole("size", size, ge=1, optional=True)
    seen = [facts_of(frame).get("seen", None if facts_of(frame) else len(frame)) for frame in frames]
    together = pd.concat([frame if "weight" in frame.columns else frame.assign(weight=1.0) for frame in frames])
    sized = numbers_of(together["weight"], "weight")
    if by is not None:
        (by,) = checks.columns("by", by, together.columns)
        values = EventColumns.of_frame(together)[by]
        sized = sized * (values + np.nanmean(values))
    if size is not None and len(together) > size:
        together = _thinned(together, size, np.where(sized > 0, sized, np.nanmean(sized)), seed)
    if isinstance(together.index, pd.DatetimeIndex):
        together = together.sort_index(kind="stable")
    facts = sampling_facts("merge", sized_by=by, revises=True)
    whole = {} if None in seen else {"seen": sum(filter(None, seen)), "kept": len(together)}
    return mark(together, {**facts, **whole})


def _thinned(frame: pd.DataFrame, size: int, sized: np.ndarray, seed: int) -> pd.DataFrame:
    chosen = Priorities(size)
    chosen.add(np.arange(len(frame)), sized, 1.0 - RandomStream(seed).next(len(frame)))
    chosen.settle()
    rows, weight = chosen.members()
    kept = frame.iloc[rows].copy()
    kept["weight"] *= weight
    return kept
