"""The laws of accumulators, for every shipped class, with generated inputs."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucible_nb.accumulators import (
    Counts,
    EWMoments,
    Extremes,
    LogHistogram,
    Moments,
    Proportion,
    Quantiles,
    TDigest,
)
from crucible_nb.errors import ConfigError
from crucible_nb.testing.accumulators import ACCUMULATOR_LAWS, check_accumulator, numbers
from tests.tiers import examples

TEXTS = [["a", "b", "a"], ["c", "b", "d", "e"], ["f", "a", "g"], ["h"]]
BOOLEANS = [np.array([True, False, True]), np.array([False]), np.array([True, True]), np.array([False, True])]

# factory, pieces, and how far results may differ: 0 says to the bit
FAMILY = {
    "Moments": (Moments, numbers(), 1e-9),
    "Extremes": (Extremes, numbers(), 0.0),
    "Proportion": (Proportion, BOOLEANS, 0.0),
    "Counts": (Counts, TEXTS, 0.0),
    "Counts, more than fit": (partial(Counts, limit=3), TEXTS, 0.0),
    "EWMoments": (partial(EWMoments, alpha=0.1), numbers(), 1e-9),
    "EWMoments, only the newest": (partial(EWMoments, alpha=1.0), numbers(), 0.0),
    "EWMoments, slow": (partial(EWMoments, alpha=1e-9), numbers(), 1e-6),
    "LogHistogram": (LogHistogram, numbers(), 0.0),
    "LogHistogram, 4 bits": (partial(LogHistogram, bits=4), numbers(), 0.0),
    "TDigest": (TDigest, numbers(), 0.0),
    "TDigest, clustered": (partial(TDigest, delta=200, buffer=100), numbers(), 0.1),
    "Quantiles": (Quantiles, numbers(), 0.0),
    "Quantiles, more than fit": (partial(Quantiles, limit=100), numbers(), 0.0),
}


@pytest.mark.parametrize(
    ("name", "law"),
    [(name, law) for name in FAMILY for law in ACCUMULATOR_LAWS],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_family(name, law):
    law(*FAMILY[name])


class _Sum:
    """An accumulator with one fault, which one law must find."""

    __hash__ = None

    def __init__(self, fault=""):
        self.fault, self.total, self.seen = fault, 0.0, []

    def update(self, values, weights=None):
        known = [v for v in values if v == v] if self.fault != "NaN" else values
        weights = [1.0] * len(known) if weights is None else weights
        self.total += math.fsum(v * w for v, w in zip(known, weights, strict=False))
        if self.fault == "grows":
            self.seen.extend(known)
        return None if self.fault == "returns nothing" else self

    def merge(self, later):
        new = self if self.fault == "in place" else _Sum(self.fault)
        new.total = self.total + later.total * (0.5 if self.fault == "halves" else 1.0)
        new.seen = self.seen + later.seen
        return new

    def result(self):
        if self.fault == "asking counts":
            self.total += 1
        return self.total + (1.0 if self.fault == "knows" else 0.0)

    def to_dict(self):
        return {"kind": "sum", "version": 1, "total": self.total, "seen": self.seen, "fault": self.fault}

    @classmethod
    def from_dict(cls, state):
        new = cls(state["fault"])
        new.total, new.seen = 0.0 if new.fault == "forgets" else state["total"], list(state["seen"])
        return new

    def __eq__(self, other):
        return self.total == other.total

    def __repr__(self):
        return "Sum()"


FAULTS = {
    "returns nothing": "it is an accumulator: update does not return the accumulator",
    "knows": "a fresh one knows nothing and does not raise: an empty result has 1.0",
    "halves": "a fresh one is the identity on both sides: total is ",
    "in place": "merging leaves its inputs alone: an input changed",
    "asking counts": "a fresh one knows nothing and does not raise: an empty result has 1.0",
    "NaN": "missing values are skipped: result is nan instead of ",
    "grows": "its size is bounded: the state grew from ",
    "forgets": "the state survives json: the restored state differs",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_law_is_named(fault):
    with pytest.raises(AssertionError) as broken:
        check_accumulator(lambda: _Sum(fault), rtol=1e-6)
    assert str(broken.value).startswith(f"Sum(): {FAULTS[fault]}")


def test_a_user_s_own_accumulator_passes():
    check_accumulator(_Sum, rtol=1e-6)


class _Named(NamedTuple):
    total: float
    pair: np.ndarray


def test_results_may_be_tuples_and_arrays():
    class Both(_Sum):
        def merge(self, later):
            new = type(self)(self.fault)
            new.total = self.total + later.total
            return new

        def result(self):
            return _Named(self.total, np.array([self.total, 2 * self.total]))

    check_accumulator(Both, rtol=1e-6)


def test_check_accumulator_refuses_what_it_cannot_use():
    with pytest.raises(ConfigError, match=r"^values=\[\[1\.0\]\]: expected three or more parts of a stream$"):
        check_accumulator(Moments, values=[[1.0]])
    with pytest.raises(ConfigError, match=r"^factory=3: expected a callable$"):
        check_accumulator(3)


ANY = st.lists(st.floats(), max_size=40)
TAME = st.lists(st.floats(-1e150, 1e150).filter(lambda x: x == 0 or abs(x) > 1e-150), max_size=40)
EXACT = {
    "Extremes": Extremes,
    "LogHistogram": LogHistogram,
    "Quantiles": partial(Quantiles, limit=20),
    "Quantiles, exact": Quantiles,
    "TDigest": TDigest,
}
EVERY = {
    **EXACT,
    "Moments": Moments,
    "EWMoments": partial(EWMoments, alpha=0.3),
    "TDigest, clustered": partial(TDigest, delta=10, buffer=5),
}


@pytest.mark.parametrize("name", EXACT)
@given(a=ANY, b=ANY, c=ANY)
def test_exact_ones_are_associative_to_the_bit_for_any_floats(name, a, b, c):
    make = EXACT[name]
    x, y, z = make().update(a), make().update(b), make().update(c)
    assert x.merge(y).merge(z) == x.merge(y.merge(z)) == make().update(a + b + c)


@pytest.mark.parametrize("name", EVERY)
@given(a=ANY, b=ANY)
def test_no_floats_raise_or_warn(name, a, b):
    make = EVERY[name]
    one = make().update(a).merge(make().update(b))
    result = one.result()
    assert result.count + result.missing + (result.infinite if name == "EWMoments" else 0) == len(a) + len(b)
    again = type(one).from_dict(json.loads(json.dumps(one.to_dict())))
    assert again == one
    assert again.result() == result or "nan" in repr(result)


@given(a=TAME, b=TAME, c=TAME)
def test_moments_are_associative(a, b, c):
    x, y, z = (Moments().update(part) for part in (a, b, c))
    left, right = x.merge(y).merge(z).result(), x.merge(y.merge(z)).result()
    scale = max(map(abs, a + b + c), default=0.0)
    assert left.mean == pytest.approx(right.mean, abs=1e-12 * scale, nan_ok=True)
    assert left.std == pytest.approx(right.std, rel=1e-9, abs=1e-9 * scale, nan_ok=True)


@given(a=TAME, b=TAME)
@examples(200)
def test_sketches_stay_between_the_extremes_and_never_fall(a, b):
    for make in (Quantiles, partial(Quantiles, limit=10), LogHistogram, partial(TDigest, delta=10, buffer=7)):
        one = make().update(a).merge(make().update(b))
        if not a + b:
            assert math.isnan(one.quantile(0.5))
            continue
        found = one.quantile(np.linspace(0, 1, 101))
        assert found[0] == min(a + b) == one.minimum
        assert found[-1] == max(a + b) == one.maximum
        assert (np.diff(found) >= -1e-15 * np.abs(found[1:])).all()


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2)), max_size=60), st.integers(1, 6))
def test_counts_keep_the_same_categories_in_any_cut(pairs, limit):
    parts = [[text for text, part in pairs if part == number] for number in range(3)]
    a, b, c = (Counts(limit).update(part) for part in parts)
    everything = [text for part in parts for text in part]
    whole = Counts(limit).update(everything)
    assert a.merge(b).merge(c) == a.merge(b.merge(c)) == whole
    assert all(everything.count(text) == count for text, count in whole.counts.items())
    assert whole.result().total == len(everything)
