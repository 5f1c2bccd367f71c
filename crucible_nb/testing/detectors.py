"""Laws of detectors, as checks for built-in and user-defined ones.

Each law is a function `law(detector, frame)` named after its statement; it raises AssertionError if the statement is
false. `frame` is a clean stream with the metrics of the detector.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pandas as pd

from crucible_nb.anomaly import Detector
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.utils import checks


def check_detector(detector: Detector, *, frame: pd.DataFrame | None = None, without: Collection[str] = ()) -> None:
    """Check that a detector obeys the laws of detectors.

    Args:
        detector: An instance with its parameters.
        frame: A clean stream of a thousand events or more with the columns it reads, with times if it has a
            DatetimeIndex; None uses seeded normal values of its metrics, two models and gaps.
        without: Names of laws that the detector does not claim, such as "it_goes_on_from_its_state" for a wrapped
            third-party model whose state cannot be saved; it starts from nothing when an experiment is resumed.

    Raises:
        AssertionError: A law is broken; the message names it.
        ConfigError: `detector` is not a detector, or `without` names no law.

    Examples:
        >>> from crucible_nb.anomaly import ZScore
        >>> check_detector(ZScore("latency_ms", 6.0))
    """
    if not isinstance(detector, Detector):
        raise checks.wrong("detector", detector, "an instance of a subclass of cr.anomaly.Detector")
    events = clean(detector.metrics) if frame is None else frame
    for name in without:
        checks.one_of("without", name, [law.__name__ for law in DETECTOR_LAWS])
    for law in DETECTOR_LAWS:
        if law.__name__ in without:
            continue
        try:
            law(detector, events)
        except AssertionError as broken:
            raise AssertionError(f"{detector!r}: {law.__name__.replace('_', ' ')}: {broken}") from broken


def clean(metrics: Sequence[str], n: int = 1500, seed: int = 0) -> pd.DataFrame:
    """Return a stream of normal values about 100 with gaps, from two models.

    Examples:
        >>> clean(["latency_ms"], 4).shape
        (4, 2)
    """
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(100, 10, n) for name in metrics}
    for values in columns.values():
        values[5::97] = np.nan
    model = np.array(["large", "small"])[rng.choice(2, n, p=[0.3, 0.7])]
    return pd.DataFrame({**columns, "model": model})


def scores(detector: Detector, frame: pd.DataFrame, cuts: Sequence[int] = ()) -> np.ndarray:
    """Score a frame with a running detector, in blocks that end at `cuts`.

    Examples:
        >>> from crucible_nb.anomaly import ZScore
        >>> bool(np.isnan(scores(ZScore("latency_ms").begin(), clean(["latency_ms"], 10), [3])).all())
        True
    """
    edges = [0, *cuts, len(frame)]
    parts = [detector.judge(_events(frame.iloc[start:stop], start)).score for start, stop in pairwise(edges)]
    return np.concatenate(parts)


def _events(frame: pd.DataFrame, start: int = 0) -> EventColumns:
    times = frame.index.as_unit("ns").asi8 if isinstance(frame.index, pd.DatetimeIndex) else None
    return EventColumns.of_frame(frame, start, times=times)


def no_cut_changes_a_bit(detector: Detector, frame: pd.DataFrame) -> None:
    """The scores are the same wherever blocks end."""
    rng, whole = np.random.default_rng(0), scores(detector.begin(), frame)
    for cuts in (
        range(1, min(len(frame), 400)),
        *(np.sort(rng.integers(0, len(frame), 7)).tolist() for _ in range(10)),
    ):
        got = scores(detector.begin(), frame, cuts)
        assert np.array_equal(got, whole, equal_nan=True), f"cut at {list(cuts)[:7]} the scores differ"


def a_score_uses_only_the_past(detector: Detector, frame: pd.DataFrame) -> None:
    """Later values change no earlier score."""
    half = len(frame) // 2
    changed = frame.copy()
    changed.loc[changed.index[half:], list(detector.metrics)] *= 10
    before = scores(detector.begin(), frame)[:half]
    after = scores(detector.begin(), changed)[:half]
    assert np.array_equal(before, after, equal_nan=True), "a later value changed an earlier score"


def an_instance_serves_many_experiments(detector: Detector, frame: pd.DataFrame) -> None:
    """`begin` returns a copy, so one instance can serve several experiments."""
    first = detector.begin()
    scores(detector.begin(), frame.iloc[::-1])
    again = scores(first, frame)
    assert np.array_equal(again, scores(detector.begin(), frame), equal_nan=True), "two runs share their state"


def the_first_scores_are_unknown(detector: Detector, frame: pd.DataFrame) -> None:
    """The score is NaN while warming up, not 0."""
    assert np.isnan(scores(detector.begin(), frame)[:2]).all(), "there is a score before there is a past"


def missing_values_are_passed_over(detector: Detector, frame: pd.DataFrame) -> None:
    """Missing values have no score and do not change the scores of the other values."""
    metrics = list(detector.metrics)
    known = frame[frame[metrics].notna().all(axis=1)].reset_index(drop=True)
    gaps = known.loc[np.repeat(known.index, 2)].reset_index(drop=True)
    gaps.loc[1::2, metrics] = np.nan
    got = scores(detector.begin(), gaps)
    assert np.isnan(got[1::2]).all(), "a missing value has a score"
    assert np.array_equal(got[::2], scores(detector.begin(), known), equal_nan=True), "missing values changed scores"


def a_planted_spike_is_found_and_explained(detector: Detector, frame: pd.DataFrame) -> None:
    """A spike of eighty rows, 50 standard deviations above the mean, is flagged with a reason that names the metric."""
    spiked, first = frame.copy(), 2 * len(frame) // 3
    for name in detector.metrics:
        high = float(frame[name].mean() + 50 * frame[name].std())
        spiked.loc[spiked.index[first : first + 80], name] = high
    verdict = detector.begin().judge(_events(spiked))
    hits = np.flatnonzero(verdict.score[first : first + 80] >= 1)
    assert len(hits), f"no alarm; the largest score is {np.nanmax(verdict.score[first : first + 80]):.2f}"
    said = verdict.reasons.get(first + int(hits[0]), "")
    assert any(name in said for name in detector.metrics), f"the reason {said!r} names no metric"


def clean_values_are_mostly_quiet(detector: Detector, frame: pd.DataFrame) -> None:
    """At most 5 % of clean rows are flagged."""
    got = scores(detector.begin(), frame)
    rate = float((got >= 1).mean())
    assert rate <= 0.05, f"{rate:.1%} of clean rows are flagged"


def constant_values_are_quiet(detector: Detector, frame: pd.DataFrame) -> None:
    """A constant series has no anomaly, although its dispersion is 0."""
    got = scores(detector.begin(), frame.assign(**dict.fromkeys(detector.metrics, 7.0)))
    assert not (got >= 1).any(), "a constant series is flagged"


def it_goes_on_from_its_state(detector: Detector, frame: pd.DataFrame) -> None:
    """Saved as JSON in mid-stream and restored, it gives the same scores as without the interruption."""
    running, half = detector.begin(), len(frame) // 2
    begin = scores(running, frame.iloc[:half])
    again = detector.from_dict(_through_json(running.to_dict()))
    end = again.judge(_events(frame.iloc[half:], half)).score
    whole = scores(detector.begin(), frame)
    assert np.array_equal(np.concatenate((begin, end)), whole, equal_nan=True), "after a round trip the scores differ"


def its_state_is_plain_json(detector: Detector, frame: pd.DataFrame) -> None:
    """Strict JSON (no infinity, no NaN) holds the state to the bit: before any value, after one, after many."""
    running, none = detector.begin(), frame.iloc[:3].assign(**dict.fromkeys(detector.metrics, np.nan))
    for part in (frame.iloc[:0], none, frame.iloc[:1], frame.iloc[1 : len(frame) // 2]):
        running.judge(_events(part))
        state = running.to_dict()
        again = _through_json(state)
        # as text NaN equals itself, and -0.0 is not 0.0
        assert json.dumps(again) == json.dumps(state), "JSON gives another state back"
        assert json.dumps(detector.from_dict(again).to_dict()) == json.dumps(state), "from_dict changes the state"


def _through_json(state: Any) -> Any:
    try:
        return orjson.loads(orjson.dumps(state))
    except TypeError as error:
        raise AssertionError(f"JSON cannot hold the state: {error}") from error


def an_empty_block_is_nothing(detector: Detector, frame: pd.DataFrame) -> None:
    """A block without events has no scores and does not change later ones."""
    running = detector.begin()
    assert len(running.judge(_events(frame.iloc[:0])).score) == 0
    assert np.array_equal(scores(running, frame), scores(detector.begin(), frame), equal_nan=True)


DETECTOR_LAWS: tuple[Callable[[Detector, pd.DataFrame], None], ...] = (
    no_cut_changes_a_bit,
    a_score_uses_only_the_past,
    an_instance_serves_many_experiments,
    the_first_scores_are_unknown,
    missing_values_are_passed_over,
    a_planted_spike_is_found_and_explained,
    clean_values_are_mostly_quiet,
    constant_values_are_quiet,
    its_state_is_plain_json,
    it_goes_on_from_its_state,
    an_empty_block_is_nothing,
)
"""All laws, in the order in which they are checked."""
