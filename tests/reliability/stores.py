"""What the kill harness writes with: ours, and naive ones, each with a bug that the harness must find."""

from __future__ import annotations

import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd


class Ours:
    """crucible_nb, resumed by every generation, sealing all the time."""

    def open(self, folder: Path) -> None:
        import crucible_nb as cr
        from crucible_nb.store import writer

        warnings.simplefilter("error")
        writer.SEAL_EVENTS = 3000
        self.exp = cr.start("kill", store=folder, on_exists="resume", sampling=None, seed=1, anomaly="z_score")

    def put(self, first: int, count: int) -> bool:
        if count == 1:
            return self.exp.record("event", latency_ms=float(first % 97), n=first, note="x" * (first % 40))
        n = np.arange(first, first + count)
        return self.exp.extend(pd.DataFrame({"event": "event", "latency_ms": n % 97.0, "n": n})) == count

    @staticmethod
    def read(folder: Path) -> tuple[list[int], int]:
        """Ids of the events that can be read, and how many files cannot."""
        import crucible_nb as cr
        from crucible_nb.store.verify import verify

        report = verify(folder)
        exp = cr.attach("kill", store=folder, mode="read")
        frame = exp.frame()
        assert exp.metrics().events == len(frame) == len(set(frame["seq"].tolist()))
        assert (frame["latency_ms"] == frame["n"] % 97).all()
        return frame["n"].tolist(), sum(not one.sound for one in report.files)


class AckBeforeFlush:
    """A buffered file: what `write` took stands in this process."""

    def open(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / f"{time.time_ns()}.jsonl").open("w")

    def put(self, first: int, count: int) -> bool:
        self.file.writelines(json.dumps(n) + "\n" for n in range(first, first + count))
        return True

    @staticmethod
    def read(folder: Path) -> tuple[list[int], int]:
        return _lines(folder)


class GluesTornLine:
    """One file for all generations; the next one goes on behind a torn line. Lines are written in two parts."""

    def open(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.handle = os.open(folder / "all.jsonl", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def put(self, first: int, count: int) -> bool:
        text = "".join(json.dumps(n) + "\n" for n in range(first, first + count)).encode()
        os.write(self.handle, text[:-2])
        time.sleep(0.0003)
        os.write(self.handle, text[-2:])
        return True

    @staticmethod
    def read(folder: Path) -> tuple[list[int], int]:
        return _lines(folder)


class ParquetInPlace:
    """Each batch a Parquet file written straight under its name."""

    def open(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def put(self, first: int, count: int) -> bool:
        rows = max(count, 50_000)  # long enough to be hit in the middle
        frame = pd.DataFrame({"n": np.full(rows, first), "x": np.random.default_rng(first).random(rows)})
        frame.iloc[:count, 0] = np.arange(first, first + count)
        frame.to_parquet(self.folder / f"{first}.parquet")
        return True

    @staticmethod
    def read(folder: Path) -> tuple[list[int], int]:
        found: set[int] = set()
        broken = 0
        for path in folder.glob("*.parquet"):
            try:
                found |= set(pd.read_parquet(path)["n"].tolist())
            except Exception:  # noqa: BLE001
                broken += 1
        return sorted(found), broken


def _lines(folder: Path) -> tuple[list[int], int]:
    found = []
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().split("\n"):
            try:
                found.append(int(json.loads(line)))
            except ValueError:
                continue
    return found, 0


STORES = {"ours": Ours, "ack": AckBeforeFlush, "glue": GluesTornLine, "parquet": ParquetInPlace}
