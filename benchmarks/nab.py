"""The Numenta Anomaly Benchmark: `python -m benchmarks.nab [FOLDER] [--detector NAME ...]`.

FOLDER is a local copy of the corpus: its `data/` and `labels/combined_windows.json`, or ten series as `*.csv.gz` with
`windows.json`. One setting for all files; scores are causal; the threshold is 1.0.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.anomaly import score
from crucible_nb.anomaly.registry import NAMES

SHARED = Path(os.environ.get("CRUCIBLE_SHARED_DATA", "../shared/data")) / "nab"
PROFILES = {
    "standard": (1.0, 0.11, 1.0),
    "reward_low_FP_rate": (1.0, 0.22, 1.0),
    "reward_low_FN_rate": (1.0, 0.11, 2.0),
}


class Series(NamedTuple):
    """One file: its rows and the first and last row of each anomaly window."""

    name: str
    times: pd.Series
    values: pd.Series
    windows: list[tuple[int, int]]


def corpus(folder: Path) -> Iterator[Series]:
    """All files of a copy of the corpus."""
    whole = folder / "labels" / "combined_windows.json"
    windows = json.loads((whole if whole.exists() else folder / "windows.json").read_text())
    for name, spans in sorted(windows.items()):
        path = folder / "data" / name if whole.exists() else folder / f"{Path(name).name}.gz"
        rows = pd.read_csv(path)
        first = {str(pd.Timestamp(text)): row for row, text in reversed(list(enumerate(rows["timestamp"])))}
        yield Series(
            name, pd.to_datetime(rows["timestamp"]), rows["value"],
            [(first[_text(low)], first[_text(high)]) for low, high in spans],
        )  # fmt: skip


def _text(stamp: str) -> str:
    return str(pd.Timestamp(stamp))


def sigmoid(y: np.ndarray) -> np.ndarray:
    """Reward of a flag by its distance from the end of a window, in window lengths."""
    return np.where(y > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(y, 50.0))) - 1)


def file_score(
    scores: np.ndarray, windows: list[tuple[int, int]], profile: tuple[float, float, float], threshold: float = 1.0
) -> float:
    """NAB's raw score of one file."""
    hit_weight, false_weight, miss_weight = profile
    probation = min(int(0.15 * len(scores)), 750)
    flags = np.flatnonzero(np.round(np.nan_to_num(scores, nan=-np.inf), 12) >= threshold)
    flags, total, outside = flags[flags >= probation], 0.0, np.ones(len(scores), bool)
    for first, last in windows:
        outside[first : last + 1] = False
        inside = flags[(flags >= first) & (flags <= last)]
        if len(inside):
            width = last - first + 1
            total += hit_weight * float(sigmoid(-(last - inside[0] + 1) / width) / sigmoid(np.array(-1.0)))
        else:
            total -= miss_weight
    for flag in flags[outside[flags]]:
        before = [(first, last) for first, last in windows if last < flag]
        if not before:
            total -= false_weight
        else:
            first, last = max(before, key=lambda window: window[1])
            total += false_weight * float(sigmoid(np.array((flag - last) / (last - first))))
    return total


def normalised(scores: list[float], windows: int, profile: tuple[float, float, float]) -> float:
    """100 for a perfect detector, 0 for one that does nothing."""
    nothing, perfect = -profile[2] * windows, profile[0] * windows
    return 100 * (sum(scores) - nothing) / (perfect - nothing)


def evaluate(files: list[Series], method: str) -> dict[str, float]:
    """The score of a detector in each profile."""
    found = [score(one.values.set_axis(pd.DatetimeIndex(one.times)), method).to_numpy() for one in files]
    windows = sum(len(one.windows) for one in files)
    return {
        name: normalised(
            [file_score(s, one.windows, profile) for s, one in zip(found, files, strict=True)], windows, profile
        )
        for name, profile in PROFILES.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=SHARED)
    parser.add_argument("--detector", nargs="*", default=list(NAMES), choices=list(NAMES))
    args = parser.parse_args()
    files = list(corpus(args.folder))
    print(f"{len(files)} files, {sum(len(one.windows) for one in files)} windows\n")
    print("| detector | " + " | ".join(PROFILES) + " |\n|---|" + "--:|" * len(PROFILES))
    for name in args.detector:
        print(
            f"| {name} | " + " | ".join(f"{value:.1f}" for value in evaluate(files, name).values()) + " |", flush=True
        )


if __name__ == "__main__":
    main()
