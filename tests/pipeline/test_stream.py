"""Verbs: the live run and a replay apply the same, whatever the verb, and a resume clears what asked for a pause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.pipeline.stream import _VERBS, TRANSITIONS, Stream
from crucible_nb.store.control_codec import decode_facts, encode_facts
from crucible_nb.store.replayer import Replayer
from tests.laws.test_resume import die


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_a_replay_applies_every_verb_as_the_live_run_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    applied: dict[str, list[Any]] = {"live": [], "again": []}
    apply, phase = Stream.apply, "live"

    def noted(stream: Stream, verb: str, facts: Any) -> None:
        plain = encode_facts(verb, facts, stream.config)
        applied[phase].append((verb, plain, stream.pipeline.seq))
        apply(stream, verb, facts)

    monkeypatch.setattr(Stream, "apply", noted)
    exp = cr.start("verbs", store=tmp_path, clock="events", anomaly="z_score", seed=1)
    exp.record("a", latency_ms=1.0, model="own", prompt_tokens=10, completion_tokens=1, time=1)
    exp.plan("latency_ms", direction="down", sample_size=100)
    exp.planned.take(5, ["latency_ms"])
    exp.watch("event_count >= 3", action="pause")
    exp.slo("latency_ms < 2", target=0.9)
    exp.watch("burn_rate > 2 by model")
    exp.mark("warm")
    exp._intake.apply("silence", {"time": 9, "event": "a", "since": 1, "gap": 8.0, "score": 2.0, "reason": "no a"})
    exp.reprice({"own": {"input": 1.0, "output": 2.0}})
    exp.set_sampling("uniform", {"rate": 0.5})
    exp.record("a", latency_ms=2.0, time=2)
    exp.record("a", latency_ms=3.0, time=3)
    assert exp.should_stop
    assert exp.status == "paused"
    exp.resume()
    state = exp._stream.state()
    die(exp)
    phase = "again"
    again = cr.attach("verbs", store=tmp_path, mode="read")
    assert applied["again"] == applied["live"]
    assert {verb for verb, *_ in applied["live"]} == {*_VERBS} - {*TRANSITIONS, "absent"} | {"pause", "resume"}
    for name in ("life", "watching", "own", "ledger", "prices", "policy", "keeping"):
        assert repr(again._stream.state()[name]) == repr(state[name]), name
    assert not again.should_stop  # the pause that was asked for is over


@pytest.mark.parametrize(
    "line", [["what", 0, {}], ["pause", 0], ["plan", 0, {"plan": {"metric": 3}}], ["pause", 0, 3], [], [[]]]
)
def test_a_line_that_cannot_be_applied_is_counted(line: list[Any]) -> None:
    exp = cr.start("edited")
    replayer = Replayer(exp._stream)
    replayer.replay([line])
    assert replayer.unread == 1
    assert exp.status == "running"


def test_facts_of_transitions_are_written_as_they_are() -> None:
    config = cr.start("plain")._config
    for verb in (*TRANSITIONS, "absent"):
        facts = {"clock": 5, "since": 3}
        assert decode_facts(verb, encode_facts(verb, facts, config), config) == facts
