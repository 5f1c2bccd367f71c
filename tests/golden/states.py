"""States of every accumulator, sampler and detector after a fixed input, made with public names only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
import pandas as pd

import crucible_nb as cr

EVENTS, CUTS = 1200, (0, 1, 37, 600, 1100, 1200)
LONG = 6000


def uniform(n: int, step: int = 2654435761) -> np.ndarray:
    """Numbers in [0, 1): the same bits with any library."""
    return (np.arange(1, n + 1, dtype=np.uint64) * np.uint64(step) % np.uint64(2**32)) / np.float64(2**32)


def events() -> pd.DataFrame:
    """Skewed latencies and costs with gaps, zeros and a burst; models and outcomes."""
    u, v = uniform(EVENTS), uniform(EVENTS, 2246822519)
    latency, cost = 20.0 + 400.0 * u * u + 300.0 * u * v, 0.001 * (1.0 + u) * v
    latency[700:760] *= 8.0
    latency[::17], cost[::5] = np.nan, 0.0
    model = np.array(["large", "small", None], object)[(v * 3).astype(int)]
    success = pd.array(u + v < 1.6, dtype="boolean")
    success[::11] = pd.NA
    frame = pd.DataFrame({"latency_ms": latency, "cost_usd": cost, "success": success, "model": model, "event": "call"})
    return frame.set_index(pd.date_range("2025-01-01", periods=EVENTS, freq="s", tz="UTC", name="time"))


def accumulators() -> Iterator[tuple[str, Any]]:
    """Fed in two halves, the second with weights, and merged with a third."""
    acc = cr.accumulators
    numbers, weights = 1000.0 * (uniform(900) - 0.25), 1.0 + 3.0 * uniform(300, 2246822519)
    numbers[::29] = np.nan
    texts = [f"t{int(u * u * 40)}" for u in uniform(900)]
    makers: dict[str, Callable[[], Any]] = {
        "Moments": acc.Moments,
        "Extremes": acc.Extremes,
        "EWMoments": lambda: acc.EWMoments(alpha=0.2),
        "LogHistogram": acc.LogHistogram,
        "LogHistogram, 4 bits": lambda: acc.LogHistogram(bits=4),
        "TDigest": lambda: acc.TDigest(delta=20, buffer=50),
        "Quantiles, exact": lambda: acc.Quantiles(limit=1000),
        "Quantiles, sketched": lambda: acc.Quantiles(limit=100),
    }
    for name, make in makers.items():
        part = make().update(numbers[:300]).update(numbers[300:600], weights=weights)
        yield name, part.merge(make().update(numbers[600:])).to_dict()
    yield "Proportion", acc.Proportion().update(numbers[:600] > 100).merge(acc.Proportion().update([True])).to_dict()
    counts = acc.Counts(limit=12)
    yield "Counts", counts.update(texts[:600]).merge(acc.Counts(limit=12).update(texts[600:])).to_dict()


def samplers() -> Iterator[tuple[str, Any]]:
    """State, kept events and weights after the events in blocks."""
    smp = cr.sampling
    frame = events()
    members = {
        "Uniform": smp.Uniform(0.15),
        "Reservoir": smp.Reservoir(40),
        "Stratified": smp.Stratified({False: 1.0, True: 0.1}, default=0.3),
        "Stratified with reservoirs": smp.Stratified(by="model", size=20),
        "Adaptive": smp.Adaptive(0.1, min_samples=50, cooldown=5),
        "Importance": smp.Importance(40),
        "Importance by latency": smp.Importance(30, by="latency_ms", keep_above="p90"),
    }
    for name, sampler in members.items():
        running, kept = sampler.begin(3, stream=1), {}
        for start, stop in zip(CUTS, CUTS[1:], strict=False):
            choice = running.choose(smp.Events.of_frame(frame.iloc[start:stop], start))
            rows = np.flatnonzero(choice.keep)
            kept |= dict(zip((rows + start).tolist(), choice.weight[rows].tolist(), strict=True))
            for seq in choice.dropped.tolist():
                del kept[seq]
        for seq in running.settle().tolist():
            del kept[seq]
        seq = np.array(sorted(kept), np.int64)
        weight = running.weights(seq)
        weight = [kept[one] for one in seq.tolist()] if weight is None else weight.tolist()
        yield name, [running.to_dict(), digest(seq.tobytes() + np.array(weight).tobytes())]


def detectors() -> Iterator[tuple[str, Any]]:
    """State and scores after the events in blocks."""
    det = cr.anomaly
    frame = events()
    kinds = (det.ZScore, det.ModifiedZScore, det.IQR, det.EWMA, det.CUSUM, det.Auto)
    members: dict[str, Any] = {
        **{kind.__name__: kind("latency_ms") for kind in kinds},
        **{f"{kind.__name__} by model": kind(["latency_ms", "cost_usd"], by="model") for kind in kinds},
        **{f"{kind.__name__}, normal": kind("latency_ms", learn="normal") for kind in kinds},
        **{f"{kind.__name__}, calibrated": kind("latency_ms", false_alarm_rate=0.01) for kind in kinds[:-1]},
        "ZScore, discoveries": det.ZScore("latency_ms", by="model", false_discovery_rate=0.02),
        "IsolationForest": det.IsolationForest(["latency_ms", "cost_usd"], trees=5),
    }
    for name, detector in members.items():
        running, scores = detector.begin(), []
        for start, stop in zip(CUTS, CUTS[1:], strict=False):
            scores.append(running.judge(cr.sampling.Events.of_frame(frame.iloc[start:stop], start)).score)
        state = running.to_dict()
        if name == "IsolationForest":  # the forest's own numbers are scikit-learn's
            yield name, state
        else:
            yield name, [state, digest(np.concatenate(scores).tobytes())]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def lines() -> Iterator[str]:
    """A line of JSON for each: name, and its state with every bit of a float; of a long one the checksum."""
    for family in (accumulators, samplers, detectors):
        for name, state in family():
            text = orjson.dumps(plain(state), option=orjson.OPT_SORT_KEYS).decode()
            whole = text if len(text) < LONG else f'["sha256", {len(text)}, "{digest(text.encode())}"]'
            yield f'["{family.__name__}: {name}", {whole}]'


def plain(state: Any) -> Any:
    """Arrays by dtype, shape and bytes; NaN and infinities by name, since JSON has none."""
    if isinstance(state, np.ndarray):
        return ["array", state.dtype.str, list(state.shape), state.tobytes().hex()]
    if isinstance(state, np.generic):
        return plain(state.item())
    if isinstance(state, float) and not np.isfinite(state):
        return f"float {state}"
    if isinstance(state, dict):
        return {str(key): plain(item) for key, item in state.items()}
    if isinstance(state, (list, tuple)):
        return [plain(item) for item in state]
    return state
