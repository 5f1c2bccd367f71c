"""Laws of samplers, as checks for built-in and user-defined ones.

Each law is a function `law(sampler, frame, size)` named after its statement; it raises AssertionError if the statement
is false. `frame` is a stream of events, `size` the promised maximum number of rows, if any.
"""
# ruff: noqa: ARG001  all laws have the same arguments

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling import Sampler
from crucible_nb.utils import checks

_SEEDS = 400


def check_sampler(sampler: Sampler, *, frame: pd.DataFrame | None = None, size: int | None = None) -> None:
    """Check that a sampler obeys the laws of samplers.

    Args:
        sampler: An instance with its parameters.
        frame: A few hundred events; None uses seeded latencies, costs, outcomes and models with gaps.
        size: Maximum number of rows that the sampler promises to keep; None for no promise.

    Raises:
        AssertionError: A law is broken; the message names it.
        ConfigError: `sampler` is not a sampler.

    Examples:
        >>> from crucible_nb.sampling import Uniform
        >>> check_sampler(Uniform(0.2))
    """
    if not isinstance(sampler, Sampler):
        raise checks.wrong("sampler", sampler, "an instance of a subclass of cr.sampling.Sampler")
    events = stream() if frame is None else frame
    for law in SAMPLER_LAWS:
        try:
            law(sampler, events, size)
        except AssertionError as broken:
            raise AssertionError(f"{sampler!r}: {law.__name__.replace('_', ' ')}: {broken}") from broken


def stream(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Return a stream of events: skewed numbers with gaps, zeros and a negative, two models, a few failures.

    Examples:
        >>> len(stream())
        600
    """
    rng = np.random.default_rng(seed)
    latency, cost = rng.lognormal(6, 1, n), rng.lognormal(-6, 1.5, n)
    latency[::17], cost[::5], cost[7:8] = np.nan, 0.0, -1.0
    success = pd.array(rng.random(n) < 0.9, dtype="boolean")
    success[::11] = pd.NA
    model = np.array(["large", "small", None])[rng.choice(3, n, p=[0.2, 0.7, 0.1])]
    columns = {"latency_ms": latency, "cost_usd": cost, "success": success, "model": model}
    return pd.DataFrame(columns, index=pd.date_range("2025-01-01", periods=n, freq="s", tz="UTC", name="time"))


def run(sampler: Sampler, frame: pd.DataFrame, cuts: Sequence[int] = ()) -> dict[int, float]:
    """Run a stream in blocks that end at `cuts`; return the kept events and their weights.

    Examples:
        >>> from crucible_nb.sampling import Uniform
        >>> run(Uniform(1.0).begin(0), stream(3), cuts=[1])
        {0: 1.0, 1: 1.0, 2: 1.0}
    """
    kept: dict[int, float] = {}
    edges = [0, *cuts, len(frame)]
    for start, stop in pairwise(edges):
        _advance(sampler, frame, start, stop, kept)
    return _now(sampler, kept)


def _advance(sampler: Sampler, frame: pd.DataFrame, start: int, stop: int, kept: dict[int, float]) -> None:
    choice = sampler.choose(EventColumns.of_frame(frame.iloc[start:stop], start))
    assert len(choice.keep) == len(choice.weight) == stop - start, "keep and weight need one value per event"
    _drop(choice.dropped, kept)
    rows = np.flatnonzero(choice.keep)
    kept.update(zip((rows + start).tolist(), choice.weight[rows].tolist(), strict=True))


def _drop(leaving: np.ndarray, kept: dict[int, float]) -> None:
    for seq in leaving.tolist():
        assert kept.pop(seq, None) is not None, f"event {seq} leaves, but was not kept"


def _now(sampler: Sampler, kept: dict[int, float]) -> dict[int, float]:
    _drop(sampler.settle(), kept)
    seq = np.array(sorted(kept), np.int64)
    weight = sampler.weights(seq)
    now = [kept[one] for one in seq.tolist()] if weight is None else weight.tolist()
    return dict(zip(seq.tolist(), now, strict=True))


def the_same_seed_gives_the_same_sample(sampler: Sampler, frame: pd.DataFrame, size: int | None) -> None:
    """The same seed gives the same sample, also when an instance serves several experiments."""
    first, other = sampler.begin(3), sampler.begin(4)
    run(other, frame)
    assert run(first, frame) == run(sampler.begin(3), frame), "two runs with one seed differ"


def no_cut_changes_a_bit(sampler: Sampler, frame: pd.DataFrame, size: int | None) -> None:
    """The sample is the same wherever blocks end."""
    rng, whole = np.random.default_rng(0), run(sampler.begin(3), frame)
    for cuts in (range(1, len(frame)), *(np.sort(rng.integers(0, len(frame), 9)).tolist() for _ in range(10))):
        assert run(sampler.begin(3), frame, cuts) == whole, f"cut at {list(cuts)[:9]} the sample differs"


def an_empty_block_is_nothing(sampler: Sampler, frame: pd.DataFrame, size: int | None) -> None:
    """A block without events keeps nothing and does not change later choices."""
    running = sampler.begin(3)
    choice = running.choose(EventColumns.of_frame(frame.iloc[:0]))
    assert len(choice.keep) == 0, "rows are kept from a block without events"
    assert run(running, frame) == run(sampler.begin(3), frame), "after an empty block the sample differs"


def the_input_is_left_alone(sampler: Sampler, frame: pd.DataFrame, size: int | None) -> None:
    """The sampler does not change the events."""
    before = frame.copy(deep=True)
    run(sampler.begin(3), frame)
    pd.testing.assert_frame_equal(frame, before)


def weights_are_at_least_one(sampler: Sampler, frame: pd.DataFrame, size: int | None) -> None:
    """A weight is 1 / probability of having been kept, so at least 1 and finite."""
    for seed in range(20):
        weights = list(run(sampler.begin(seed), frame).values())
        assert all(1 <= weight < np.inf for weight in weights), f"there is a weight of {min(weights)}"


def weights_estimate_counts_and_totals(sampler: Sampler, frame: pd.DataFrame, size: int | None) -> None:
    """Over many seeds, weighted sums are unbiased estimates: of all events, of every second one, of a total."""
    rng = np.random.default_rng(1)
    halves = {
        "the events": np.ones(len(frame)),
        "every second event": np.arange(len(frame)) % 2,
        "a total": rng.exponential(1, len(frame)),
    }
    samples = [run(sampler.begin(seed), frame) for seed in range(_SEEDS)]
    for what, values in halves.items():
        estimates = np.array([sum(values[seq] * weight for seq, weight in kept.items()) for kept in samples])
        error = estimates.std(ddof=1) / np.sqrt(_SEEDS)
        off = abs(estimates.mean() - values.sum())
        assert off <= 4.5 * error + 1e-9 * values.sum(), f"{what}: {estimates.mean():g} instead of {values.sum():g}"


def it_keeps_its_size(sampler: Sampler, frame: pd.DataFrame, size: int | None) -> None:
    """The sample never has more rows than promised."""
    if size is None:
        return
    running: Sampler = sampler.begin(3)
    kept: dict[int, float] = {}
    for start in range(0, len(frame), 50):
        _advance(running, frame, start, min(start + 50, len(frame)), kept)
        _now(running, kept)
        assert len(kept) <= size, f"{len(kept)} rows are kept, promised were {size}"


def it_goes_on_from_its_state(sampler: Sampler, frame: pd.DataFrame, size: int | None) -> None:
    """Saved as JSON in mid-stream and restored, it draws the same random numbers."""
    running, half = sampler.begin(3), len(frame) // 2
    kept: dict[int, float] = {}
    _advance(running, frame, 0, half, kept)
    again = sampler.from_dict(json.loads(json.dumps(running.to_dict())))
    _advance(again, frame, half, len(frame), kept)
    assert _now(again, kept) == run(sampler.begin(3), frame), "after a round trip the sample differs"


def streams_share_no_coins(sampler: Sampler, frame: pd.DataFrame, size: int | None) -> None:
    """Two writers with one seed keep different rows, unless every row is kept."""
    one, other = run(sampler.begin(3), frame), run(sampler.begin(3, stream=1), frame)
    assert one != other or all(weight == 1 for weight in one.values()), "two writers keep the same rows"


SAMPLER_LAWS: tuple[Callable[[Sampler, pd.DataFrame, int | None], None], ...] = (
    the_same_seed_gives_the_same_sample,
    no_cut_changes_a_bit,
    an_empty_block_is_nothing,
    the_input_is_left_alone,
    weights_are_at_least_one,
    weights_estimate_counts_and_totals,
    it_keeps_its_size,
    it_goes_on_from_its_state,
    streams_share_no_coins,
)
"""All laws, in the order in which they are checked."""
