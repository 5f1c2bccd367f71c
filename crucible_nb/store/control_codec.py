"""Verbs of the journal: the facts of a verb as a JSON line, and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crucible_nb.pipeline.alerts import alert_cells, alert_of
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.monitor import ACTIONS
from crucible_nb.pipeline.policies import describe, rebuild
from crucible_nb.pipeline.rules import Rule
from crucible_nb.pipeline.stream import look_facts, look_of, plan_facts, price_facts, table_of
from crucible_nb.sampling import Sampler
from crucible_nb.stats.planning.plan import plan_of
from crucible_nb.store.lines import decode_exact, encode_exact
from crucible_nb.utils import checks

Facts = Mapping[str, Any]
Codec = Callable[[Facts, ExperimentConfig], dict[str, Any]]


def encode_facts(verb: str, facts: Facts, config: ExperimentConfig) -> dict[str, Any]:
    """Facts of `Stream.apply` as plain data for the journal."""
    codec = _CODECS.get(verb)
    return dict(facts) if codec is None else codec[0](facts, config)


def decode_facts(verb: str, data: Facts, config: ExperimentConfig) -> dict[str, Any]:
    """Plain data of the journal as facts of `Stream.apply`.

    Raises:
        Exception: Of any type, where the line was edited by hand.
    """
    codec = _CODECS.get(verb)
    return dict(data) if codec is None else codec[1](data, config)


def _encode_alert(facts: Facts, _: ExperimentConfig) -> dict[str, Any]:
    return {"alert": [encode_exact(cell) for cell in alert_cells(facts["alert"])], "fired": facts["fired"]}


def _decode_alert(data: Facts, _: ExperimentConfig) -> dict[str, Any]:
    return {"alert": alert_of([decode_exact(cell) for cell in data["alert"]]), "fired": data["fired"]}


def _decode_silence(data: Facts, _: ExperimentConfig) -> dict[str, Any]:
    texts, whole = {name: str(data[name]) for name in ("event", "reason")}, {n: int(data[n]) for n in ("time", "since")}
    return {**texts, **whole, "gap": float(data["gap"]), "score": float(data["score"])}


def _encode_watch(facts: Facts, _: ExperimentConfig) -> dict[str, Any]:
    return {**facts, "rule": facts["rule"].cells()}


def _decode_watch(data: Facts, _: ExperimentConfig) -> dict[str, Any]:
    action = checks.one_of("action", data["action"], ACTIONS)
    return {"rule": Rule.of(data["rule"]), "kind": str(data["kind"]), "action": action}


_CODECS: dict[str, tuple[Codec, Codec]] = {
    "sampling": (
        lambda facts, _: {"policy": describe(facts["policy"])},
        lambda data, config: {"policy": rebuild(data["policy"], config.sampling, Sampler)},
    ),
    "prices": (
        lambda facts, config: price_facts(facts["table"], config.prices),
        lambda data, config: {"table": table_of(data, config.prices)},
    ),
    "watch": (_encode_watch, _decode_watch),
    "alert": (_encode_alert, _decode_alert),
    "silence": (lambda facts, _: dict(facts), _decode_silence),
    "plan": (
        lambda facts, _: {"plan": plan_facts(facts["plan"])},
        lambda data, _: {"plan": plan_of(**data["plan"])},
    ),
    "look": (
        lambda facts, _: look_facts(facts["look"]),
        lambda data, _: {"look": look_of(data)},
    ),
}
