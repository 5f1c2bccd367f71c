"""Segments are decoded by several threads; their shared dictionaries give each label one code."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pandas as pd

from crucible_nb.events.batch import Categories
from crucible_nb.events.schema import Kind
from crucible_nb.store.segment import batch_of_frame, in_order

KINDS: list[tuple[str, Kind]] = [("model", "category"), ("seq", "count")]


def frame(labels: list[str], first: int) -> pd.DataFrame:
    times = pd.date_range("2026-01-01", periods=len(labels), freq="s", tz="UTC")
    return pd.DataFrame({"model": pd.Categorical(labels), "seq": range(first, first + len(labels))}, index=times)


class Meeting(Categories):
    """Waits at each new label, so that another thread would interfere if it could."""

    __slots__ = ("inside", "met", "other")

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.met, self.other = 0, False, Event()

    def code(self, value: str | None) -> int:
        self.inside += 1
        if self.inside > 1:
            self.met = True
            self.other.set()
        self.other.wait(0.1)
        self.inside -= 1
        return super().code(value)


def test_a_label_has_one_code_whoever_reads_it_first() -> None:
    shared = Meeting()
    with ThreadPoolExecutor(2) as pool:
        parts = [frame(["a", "b"], 2), frame(["b", "c"], 0)]
        batches = list(pool.map(lambda part: batch_of_frame(part, KINDS, {"model": shared}), parts))
    assert not shared.met
    ordered = in_order(batches, KINDS)
    assert [batch.numbered().tolist() for batch in ordered] == [[0, 1], [2, 3]]
    assert [shared.values[code] for batch in ordered for code in batch.cells["model"].values] == ["b", "c", "a", "b"]


def test_rows_that_lie_among_each_other_become_one_batch() -> None:
    shared, parts = Categories(), [frame(["a", "b"], 0), frame(["c"], 2), frame(["d"], 1)]
    parts[0]["seq"] = [0, 3]
    (batch,) = in_order([batch_of_frame(part, KINDS, {"model": shared}) for part in parts], KINDS)
    assert batch.numbered().tolist() == [0, 1, 2, 3]
    assert [shared.values[code] for code in batch.cells["model"].values] == ["a", "d", "c", "b"]
