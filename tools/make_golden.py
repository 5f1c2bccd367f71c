"""Write the store that later releases must still read: `python -m tools.make_golden tests/store/golden/vN`.

Run once per version of the format, by the release that introduces it; never again.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import crucible_nb as cr
from crucible_nb.store import writer
from tests.conftest import NOON, settle


class Clock:
    """A clock that advances by a second with every reading."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        self.now += 1_000_000_000
        return self.now


def make(place: Path) -> None:
    """Write two experiments with all parts of the format: one that was stopped, one whose process died."""
    warnings.simplefilter("ignore", cr.CrucibleWarning)
    writer.SEAL_EVENTS = 200
    for name, sampling in (
        ("stopped", {"sampling": "importance", "sampling_config": {"size": 30, "by": "latency_ms"}}),
        ("died", {}),
    ):
        exp = cr.start(
            name, store=place, clock=Clock(), seed=7, condition="treatment", tags=["golden"], metadata={"k": [1]},
            by=("note",), windows=("1min", "1h"), anomaly=["z_score", "auto"], **sampling,
        )  # fmt: skip
        rng = np.random.default_rng(0)
        exp.watch("mean_latency_ms > 1 over 1h")
        exp.extend(
            pd.DataFrame({"latency_ms": rng.lognormal(5, 1, 400), "model": ["a", "b"] * 200, "text": "é"}), event="call"
        )
        exp.metrics()
        settle(exp)
        exp.pause()
        exp.resume()
        exp.record(
            "odd",
            score=float("nan"),
            big=2**70,
            tags=["x"],
            note="n",
            success=False,
            model="gpt-4o",
            prompt_tokens=5,
            completion_tokens=6,
        )
        exp.reprice({"a": {"input": 1.0, "output": 2.0}}) if name == "died" else None
        exp.extend([{"latency_ms": 9.5, "time": NOON}], event="late")
        exp.plan("score", margin=0.1, sample_size=10)
        exp.mark("late")
        if name == "stopped":
            exp.stop()
        else:
            exp.flush()
        exp.export(place / f"{name}.parquet")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
