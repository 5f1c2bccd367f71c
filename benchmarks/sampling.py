"""Cost of sampling per event: the stage alone, in blocks of 4,096 as `record` makes them, and end to end."""

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd

import crucible_nb as cr
from benchmarks.timing import Row, at_most, rounds, table
from crucible_nb.events.batch import Categories
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.events.kinds import Columns
from crucible_nb.events.tables import batches_of_frame
from crucible_nb.sampling import Adaptive, Importance, Reservoir, Sampler, Stratified, Uniform
from crucible_nb.utils.problems import Problems

BLOCK = 4096
SAMPLERS: dict[str, Sampler] = {
    "Uniform(0.1)": Uniform(0.1),
    "Reservoir(10,000)": Reservoir(10_000),
    "Stratified by success": Stratified({False: 1.0}, default=0.1),
    "Stratified by model, reservoirs of 1,000": Stratified(by="model", size=1000),
    "Adaptive": Adaptive(),
    "Importance(10,000)": Importance(10_000),
}


def trace(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "event": pd.Categorical(np.repeat("llm.request", n)),
            "model": pd.Categorical(rng.choice(["gpt-4o", "gpt-4o-mini", "o3"], n)),
            "latency_ms": rng.lognormal(6, 1, n),
            "cost_usd": rng.lognormal(-6, 1, n),
            "success": rng.random(n) < 0.98,
        },
        index=pd.date_range("2025-01-01", periods=n, freq="10ms", tz="UTC", name="time"),
    )


def blocks(n: int) -> tuple[list[EventColumns], dict[str, Categories]]:
    columns = Columns()
    made = [
        EventColumns.of_batch(batch.slice(start, min(start + BLOCK, len(batch))), columns.dictionaries)
        for batch in batches_of_frame(trace(n), 0, columns, Problems("bench"))
        for start in range(0, len(batch), BLOCK)
    ]
    return made, columns.dictionaries


def stage(sampler: Sampler, events: list[EventColumns], part: slice = slice(None)) -> float:
    """ns per event; with `part`, of those blocks alone."""
    running, spent, count = sampler.begin(1), 0.0, 0
    chosen = set(range(len(events))[part])
    for i, block in enumerate(events):
        start = perf_counter()
        running.choose(block)
        if i in chosen:
            spent += perf_counter() - start
            count += len(block)
    return spent / count * 1e9


def whole(sampler: Sampler | None, n: int) -> float:
    """ns per event of `record` with every consumer."""
    exp = cr.start("sampled", sampling=sampler, seed=1)
    start = perf_counter()
    for _ in range(n):
        exp.record("llm.request", latency_ms=812.4, cost_usd=0.0021, success=True, model="gpt-4o", prompt_tokens=311)
    exp.summary()
    spent = perf_counter() - start
    exp.stop()
    return spent / n * 1e9


def main(quick: bool = False) -> str:
    """Run it; returns the table as Markdown."""
    n, count = (100_000, 3) if quick else (1_000_000, 7)
    events, _ = blocks(n)
    times = rounds({name: lambda sampler=sampler: stage(sampler, events) for name, sampler in SAMPLERS.items()}, count)
    rows = [at_most(f"{name}, stage alone", median(taken), 100, " ns per event") for name, taken in times.items()]
    tenth = len(events) // 10
    early, late = (
        median([stage(SAMPLERS["Reservoir(10,000)"], events, part) for _ in range(count)])
        for part in (slice(0, tenth), slice(-tenth, None))
    )
    rows.append(
        Row(
            "Reservoir(10,000), first and last tenth of the events",
            f"{early:.1f} and {late:.1f} ns",
            "falls",
            late < early,
        )
    )
    cases = {"none": None, **{name: SAMPLERS[name] for name in ("Uniform(0.1)", "Adaptive", "Importance(10,000)")}}
    ends = rounds({name: lambda sampler=sampler: whole(sampler, n // 2) for name, sampler in cases.items()}, count)
    for name in list(cases)[1:]:
        more = median([a - b for a, b in zip(ends[name], ends["none"], strict=True)])
        rows.append(at_most(f"`record()` with {name}, over no sampling", more, 100, " ns per event"))
    return table("Sampling", rows)


if __name__ == "__main__":
    print(main(quick="--quick" in sys.argv[1:]))
