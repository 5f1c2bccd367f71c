"""The laws of samplers, for every shipped class; samplers that break one are reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling import Adaptive, Choice, Importance, Reservoir, Sampler, Stratified, Uniform
from crucible_nb.testing import SAMPLER_LAWS, check_sampler, samplers
from crucible_nb.testing.samplers import run, stream
from tests.tiers import examples, scaled


class Slow(Sampler):
    """A user-defined sampler."""

    def rates(self, events: EventColumns) -> np.ndarray:
        return np.where(events["latency_ms"] > 500, 1.0, 0.1)


FAMILY: dict[str, tuple[Sampler, int | None]] = {
    "Uniform": (Uniform(0.15), None),
    "Uniform, all": (Uniform(1.0), None),
    "Reservoir": (Reservoir(40), 40),
    "Reservoir of one": (Reservoir(1), 1),
    "Reservoir, more than there is": (Reservoir(5000), 5000),
    "Stratified by outcome": (Stratified({False: 1.0, True: 0.1}, default=0.3), None),
    "Stratified by model": (Stratified({"large": 0.5}, by="model", default=0.1), None),
    "Stratified by a function": (Stratified({True: 0.8}, by=lambda frame: frame["cost_usd"] > 0.01, default=0.2), None),
    "Stratified with reservoirs": (Stratified(by="model", size=20), 60),
    "Adaptive": (Adaptive(0.1, min_samples=50, cooldown=5), None),
    "Adaptive by outcome": (Adaptive(0.2, 0.9, 0, {"error": 1.0, "success": 0.1}), None),
    "Importance": (Importance(40), 80),
    "Importance by latency": (Importance(30, by="latency_ms", keep_above="p90"), 60),
    "Importance without a tail": (Importance(30, keep_above=None), 30),
    "Importance by a function": (Importance(30, by=lambda frame: frame["cost_usd"] * 2, keep_above=0.95), 60),
    "a user's own": (Slow(), None),
}


@pytest.fixture(autouse=True)
def fewer_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own sampler is tried with 400."""
    monkeypatch.setattr(samplers, "_SEEDS", max(80, scaled(400)))


@pytest.mark.parametrize("law", SAMPLER_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("member", FAMILY)
def test_law(member: str, law: Any) -> None:
    sampler, size = FAMILY[member]
    law(sampler, stream(), size)


@examples(60)
@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), max_size=80),
    cuts=st.lists(st.integers(0, 80), max_size=5),
    member=st.sampled_from(sorted(FAMILY)),
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_any_numbers_and_any_cut(values: list[float], cuts: list[int], member: str) -> None:
    n = len(values)
    frame = pd.DataFrame(
        {"latency_ms": values, "cost_usd": values[::-1], "success": [True] * n, "model": ["large"] * n}
    )
    sampler, size = FAMILY[member]
    whole = run(sampler.begin(1), frame)
    assert run(sampler.begin(1), frame, sorted(min(cut, n) for cut in cuts)) == whole
    assert all(weight >= 1 for weight in whole.values())
    assert size is None or len(whole) <= size


class Biased(Uniform):
    def choose(self, events: EventColumns) -> Choice:
        choice = super().choose(events)
        return Choice(choice.keep, np.full(len(events), 1.0))


class CutDependent(Uniform):
    def choose(self, events: EventColumns) -> Choice:
        self.random.next(1)
        return super().choose(events)


class Forgetful(Uniform):
    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "draws": {"seed": 0, "stream": 0, "position": 0}}


@pytest.mark.parametrize(
    ("broken", "size", "law"),
    [
        (Biased(0.1), None, "weights estimate counts and totals"),
        (CutDependent(0.1), None, "no cut changes a bit"),
        (Forgetful(0.1), None, "it goes on from its state"),
        (Uniform(0.5), 10, "it keeps its size"),
    ],
)
def test_a_broken_one_is_caught(broken: Sampler, size: int | None, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_sampler(broken, size=size)


def test_no_sampler_is_refused() -> None:
    with pytest.raises(ValueError, match="sampler=3: expected an instance of a subclass of cr.sampling.Sampler"):
        check_sampler(3)  # type: ignore[arg-type]
