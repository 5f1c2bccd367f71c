"""Objects that v0.1 could have sent to another process or kept in a file, and their plain data."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import crucible_nb as cr
from tests.golden.states import uniform


def upper(column: str, text: str) -> str:
    """A redaction hook at the top of a module, as a pickle needs it."""
    return text.upper() if column == "note" else text


def results() -> dict[str, Any]:
    """One of each public class whose path has not changed since v0.1."""
    x, y = 10.0 * uniform(60), 10.0 * uniform(60, 2246822519) + 1.0
    frames = [pd.DataFrame({"latency_ms": part, "success": part > 4, "sample_id": np.arange(60)}) for part in (x, y)]
    made: dict[str, Callable[[], Any]] = {
        "TestResult": lambda: cr.t_test(x, y),
        "TestResult, paired": lambda: cr.wilcoxon(x, y),
        "TestResult, table": lambda: cr.fisher(x > 4, y > 4),
        "MarginResult": lambda: cr.equivalence(x, y, margin=3.0),
        "Effect": lambda: cr.cohens_d(x, y),
        "Estimate": lambda: cr.confidence_interval(x > 4, metric="success_rate"),
        "SampleSize": lambda: cr.required_sample_size(effect_size=0.5),
        "Power": lambda: cr.power(effect_size=0.5, n=50),
        "DetectableEffect": lambda: cr.minimum_detectable_effect(n=50),
        "Comparison": lambda: cr.compare(*frames, metrics=["mean_latency_ms"]),
    }
    return {name: make() for name, make in made.items()}


def policies() -> dict[str, Any]:
    """Samplers and detectors as users make them, not running."""
    det, smp = cr.anomaly, cr.sampling
    kinds = (det.ZScore, det.ModifiedZScore, det.IQR, det.EWMA, det.CUSUM, det.Auto, det.IsolationForest)
    made = [kind("latency_ms") for kind in kinds]
    made += [smp.Uniform(0.1), smp.Reservoir(3), smp.Stratified({True: 0.1}), smp.Adaptive(), smp.Importance(10)]
    return {type(one).__name__: one for one in made}


def accumulators() -> dict[str, Any]:
    """With values in them."""
    acc = cr.accumulators
    makers = (acc.Moments, acc.Extremes, acc.LogHistogram, acc.TDigest)
    return {make.__name__: make().update(100.0 * uniform(20)) for make in makers}


def handles(place: Path) -> dict[str, Any]:
    """Experiments as they are sent to workers: by their handle, here a path relative to the working directory."""
    sent = {}
    for name, redact in (("handle", False), ("handle, redaction", cr.Redaction(keep=["x"])), ("handle, hook", upper)):
        exp = cr.start(name, store=place, redact=redact)
        arrive, (_, redaction) = exp.__reduce__()
        sent[name] = Reduced(arrive, (f"store/{name}", redaction))
        exp.stop()
    return sent


class Reduced:
    """Pickles as what an experiment reduces to."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


def pickles(place: Path) -> Iterator[tuple[str, bytes, str | None]]:
    """All of them: name, pickle in the default protocol, meaning."""
    found: dict[str, Any] = {**results(), **policies(), **accumulators(), **handles(place)}
    found |= {"EventInfo": cr.events.info("llm.request"), "StoreError": cr.StoreError("x")}
    found |= {"Redaction": cr.Redaction(content=True, keep=["x"]), "Redaction, hook": cr.Redaction(upper)}
    for name, one in found.items():
        yield name, pickle.dumps(one), None if isinstance(one, Reduced) else meaning(one)


def meaning(thing: Any) -> str | None:
    """Its plain data, as text that can be compared across releases; None where it has none before it runs."""
    if isinstance(thing, (cr.anomaly.Detector, cr.sampling.Sampler)):
        return None
    for ask in ("to_dict", "_asdict"):
        if hasattr(thing, ask):
            return repr(getattr(thing, ask)())
    return repr(thing)
