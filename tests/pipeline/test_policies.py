"""Samplers and detectors are described and rebuilt."""

from __future__ import annotations

import json

import pytest

import crucible_nb as cr
from crucible_nb.anomaly.registry import NAMES
from crucible_nb.pipeline.policies import describe, is_restorable, rebuild

SAMPLERS = [
    cr.sampling.Uniform(0.25),
    cr.sampling.Reservoir(7),
    cr.sampling.Stratified({True: 0.5, False: 1.0, None: 0.1}, default=0.3),
    cr.sampling.Stratified(by="model", size=9),
    cr.sampling.Adaptive(base_rate=0.2, stratified_rates={"error": 1.0}, metrics=["loss"]),
    cr.sampling.Importance(50, by="latency_ms", keep_above=None),
]
DETECTORS = [
    *(kind("loss", by=() if name == "isolation_forest" else ["model"], cooldown=7) for name, kind in NAMES.items()),
    cr.anomaly.ZScore(["a", "b"], 5.0, learn="normal", floor=0.5, warm_up=40),
    cr.anomaly.ModifiedZScore("a", false_alarm_rate=0.01),
    cr.anomaly.EWMA("a", false_discovery_rate=0.1, by=["model"]),
]


@pytest.mark.parametrize("policy", [*SAMPLERS, *DETECTORS], ids=repr)
def test_what_it_was_made_of(policy: object) -> None:
    again = rebuild(json.loads(json.dumps(describe(policy))))
    assert type(again) is type(policy)
    one, two = ({name: repr(value) for name, value in vars(thing).items()} for thing in (policy, again))
    assert one == two
    assert is_restorable(policy)


@pytest.mark.parametrize(
    "policy",
    [cr.sampling.Importance(5, by=lambda frame: frame["x"]), cr.sampling.Stratified(by=lambda frame: frame["x"])],
)
def test_callables_have_to_come_along(policy: cr.sampling.Sampler) -> None:
    description = json.loads(json.dumps(describe(policy)))
    with pytest.raises(cr.StoreError, match=r"is not saved in the store. Pass it to cr.attach\(sampling=...\)"):
        rebuild(description)
    assert rebuild(description, policy) is policy
    with pytest.raises(cr.StoreError, match=r"; got Uniform\(rate=0.1\)"):
        rebuild(description, cr.sampling.Uniform(0.1))


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"class": "Uniform"},
        {"room": "os", "class": "system", "arguments": {"pairs": [["command", "true"]]}},
        {"room": "sampling", "class": "Uniform", "arguments": {"pairs": [["rate", 7]]}},
        {"room": "sampling", "class": "sample", "arguments": 3},
    ],
)
def test_strange_descriptions_are_refused(description: dict[str, object]) -> None:
    with pytest.raises(cr.StoreError, match="cannot be rebuilt"):
        rebuild(description)


def test_a_class_says_itself_whether_its_state_can_be_saved() -> None:
    class Renamed(cr.anomaly.OneByOne):
        """Has a model, which is not saved, and an unknown name."""

        def model(self) -> object:
            return object()

    class Subclass(cr.anomaly.ZScore):
        """May have state that its base class does not save."""

    class Declared(cr.sampling.Uniform):
        restorable = True

    class Complete(cr.sampling.Sampler):
        def to_dict(self) -> dict[str, object]:
            return super().to_dict()

        def from_dict(self, state: dict[str, object]) -> Complete:
            return super().from_dict(state)

    assert not is_restorable(Renamed("loss"))
    assert not is_restorable(Subclass("loss"))
    assert is_restorable(Declared(0.5))
    assert is_restorable(Complete())
    Subclass.restorable = True
    assert is_restorable(Subclass("loss"))
