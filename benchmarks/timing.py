"""Paired timing: all cases of a table in turn, round after round; ratios are medians of the rounds."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd

ROUNDS = 7


class Row(NamedTuple):
    """One line of the published table."""

    what: str
    measured: str
    target: str
    met: bool


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = perf_counter()
    work()
    return perf_counter() - start


def rounds(cases: dict[str, Callable[[], float]], count: int = ROUNDS) -> dict[str, list[float]]:
    """Times of every case, interleaved; each case returns its own figure."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(count):
        for name, case in cases.items():
            gc.collect()
            times[name].append(case())
    return times


def ratio(times: dict[str, list[float]], one: str, two: str) -> float:
    """Median over the rounds of one / two."""
    return median(a / b for a, b in zip(times[one], times[two], strict=True))


def at_most(what: str, value: float, limit: float, unit: str = "x", note: str = "") -> Row:
    """A line whose figure should not exceed its target."""
    return Row(what, f"{value:.3g}{unit}{note}", f"≤ {limit:g}{unit}", value <= limit)


def at_least(what: str, value: float, limit: float, unit: str = "x", note: str = "") -> Row:
    """A line whose figure should reach its target."""
    return Row(what, f"{value:.3g}{unit}{note}", f"≥ {limit:g}{unit}", value >= limit)


def table(title: str, rows: list[Row]) -> str:
    """Markdown."""
    lines = [f"### {title}", "", "| what | measured | target | |", "|---|--:|--:|---|"]
    lines += [f"| {row.what} | {row.measured} | {row.target} | {'met' if row.met else '**missed**'} |" for row in rows]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """What it was measured on."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"numpy {np.__version__}, pandas {pd.__version__}"
    )
