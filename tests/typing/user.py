"""A user's file: mypy checks in `make lint` that what it calls has the types it says. It is not run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import assert_type

import pandas as pd

import crucible_nb as cr
from crucible_nb.comparison import Comparison, Comparisons, GroupedComparison

exp = cr.start("typed", sampling="uniform", sampling_config={"rate": 0.5}, on_exists="resume", clock="events")
assert_type(exp, cr.Experiment)
cr.start("typo", sampling="unifrom")  # type: ignore[arg-type]
cr.start("typo", on_exists="resum")  # type: ignore[arg-type]


@exp.track("judge")
def judge(answer: str, *, strict: bool = False) -> float:
    """Return a score."""
    return float(len(answer) > 3 or strict)


@cr.track
async def ask(prompt: str) -> str:
    """Return an answer."""
    return prompt


@exp.track("stream", model="gpt-4o")
def stream(prompt: str) -> Iterator[str]:
    """Yield words."""
    yield from prompt.split()


@exp.track("astream")
async def astream(prompt: str) -> AsyncIterator[str]:
    """Yield words."""
    for word in prompt.split():
        yield word


assert_type(judge("yes", strict=True), float)
assert_type(stream("yes"), Iterator[str])
assert_type(astream("yes"), AsyncIterator[str])
judge(5)  # type: ignore[arg-type]


async def use() -> None:
    """Await what was decorated."""
    assert_type(await ask("?"), str)


for item in exp.track_iter([1, 2, 3]):
    assert_type(item, int)
for low, _high, part in exp.query_window(sliding="5min", step="1min"):
    assert_type(low, pd.Timestamp)
    assert_type(part, pd.DataFrame)
assert_type(exp.query_window(last="5min"), pd.DataFrame)
assert_type(exp.record("tick"), bool)
assert_type(exp.df, pd.DataFrame)
assert_type(exp.metrics().latency.p95, float)
assert_type(exp.report("run.html", data="csv"), Path)
assert_type(cr.report([exp, exp], "compare.html"), Path)
assert_type(cr.current(), cr.Experiment | None)

assert_type(cr.compare(exp, exp), Comparison)
assert_type(cr.compare(exp, exp, metrics=["score"], direction={"score": "up"})["score"].verdict, str)
assert_type(cr.compare(exp, {"b": exp}), Comparisons)
assert_type(cr.compare({"a": exp, "b": exp}), Comparisons)
assert_type(cr.compare(exp, exp, by="device"), GroupedComparison)
assert_type(cr.compare(exp, exp, pairs="all"), Comparisons)
cr.compare(exp, exp, metric=["score"])  # type: ignore[call-overload]
cr.compare(exp, exp, correction="hommel")  # type: ignore[call-overload]
