"""Journals read in runs equal journals read line by line, whatever their lines and wherever a block ends."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crucible_nb as cr
from crucible_nb.store import tail as tail_module
from crucible_nb.store.lines import decode_line, encode_line, frame_line
from crucible_nb.store.replayer import Replayer
from crucible_nb.store.row_codec import encode_row, row_of_cells, run_of

TEXTS = st.text(max_size=6) | st.sampled_from(['],[1,"', '{"":', "[5,[1", "\\", ",", "null"])
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | TEXTS
ROWS = st.tuples(st.integers(0, 99), TEXTS, VALUES, VALUES, VALUES, TEXTS, VALUES, VALUES)
FIELDS = st.none() | st.dictionaries(TEXTS, VALUES, max_size=2)


@st.composite
def journals(draw: st.DrawFn) -> list[bytes]:
    """Lines of events, in order or not, with the same cells or not, and some invalid lines and control lines."""
    shapes = FIELDS if draw(st.booleans()) else draw(st.sampled_from([st.none(), st.dictionaries(TEXTS, VALUES)]))
    lines = [encode_row(seq, (*draw(ROWS), draw(shapes)))[0] for seq in range(draw(st.integers(1, 6)))]
    lines = [frame_line(body)[:-1] for body in lines]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(["drop", "control", "spoil", "cells", "number"]))
        if change == "drop" and len(lines) > 1:
            del lines[place]
        elif change == "control":
            lines[place] = encode_line(draw(st.sampled_from([["pause", 1], ["look", 1, {}], [1], [[], {}], []])))[:-1]
        elif change == "spoil":
            at = draw(st.integers(0, len(lines[place])))
            lines[place] = lines[place][:at] + draw(st.binary(max_size=2)).replace(b"\n", b"") + lines[place][at + 1 :]
        elif change == "cells":
            cells = (decode_line(lines[place]) or [0]) + draw(
                st.lists(VALUES.filter(lambda one: one == one), max_size=2)
            )
            lines[place] = encode_line(cells)[:-1]
        elif change == "number":
            lines[place] = encode_line([draw(st.integers(-5, 5) | TEXTS), *(decode_line(lines[place]) or [0])[1:]])[:-1]
    return lines


def plainly(lines: list[bytes]) -> list[Any] | None:
    """Staged rows decoded line by line; None if any line is not an event."""
    rows: list[Any] = []
    for one in lines:
        cells = decode_line(one)
        row = None if not cells or type(cells[0]) is not int else row_of_cells(cells[1:])
        if row is None:
            return None
        rows += row
    return rows


@given(journals())
def test_a_run_has_the_rows_of_its_lines(lines: list[bytes]) -> None:
    run = run_of(lines)
    if run is not None:
        assert repr(run.rows) == repr(plainly(lines))
        assert run.events == len(lines)
        assert run.seq == decode_line(lines[0])[0]  # type: ignore[index]


@pytest.mark.parametrize("fields", [None, {"step": 1, "loss": 0.5}])
def test_events_of_one_shape_are_a_run(fields: Any) -> None:
    rows = [(i, "x, [y]", 0.5 + i, None, True, "m", 3, None, fields) for i in range(5)]
    run = run_of([frame_line(encode_row(7 + i, row)[0])[:-1] for i, row in enumerate(rows)])
    assert run is not None
    assert run.rows == [cell for row in rows for cell in row]
    assert run.seq == 7


def write(store: Path) -> cr.Experiment:
    exp = cr.start("blocks", store=store)
    for i in range(40):
        exp.record("x", latency_ms=float(i), model='a "quoted, [text]')
    exp.pause()
    exp.resume()
    for i in range(40):
        exp.record("train.step", step=i, loss=1 / (1 + i), note="ä" * i)
    exp.record("odd", value=float("inf"), more={"a": [1, 2]})
    exp.extend(pd.DataFrame({"event": "y", "latency_ms": [1.0, 2.0]}))
    for i in range(40):
        exp.record("x", latency_ms=float(i))
    exp.flush()
    return exp


@pytest.mark.parametrize("block", [1, 100, 777, 5000, 1 << 20])
def test_a_block_may_end_anywhere(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exp = write(tmp_path)
    monkeypatch.setattr(tail_module, "_BLOCK", block)
    again = cr.attach(exp.id, store=tmp_path, mode="read")
    pd.testing.assert_frame_equal(again.frame(), exp.frame())
    assert again.summary()["errors"] == exp.summary()["errors"]


@pytest.mark.parametrize("block", [100, 5000, 1 << 20])
def test_a_spoilt_line_is_found_wherever_it_is(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exp = write(tmp_path)
    journal = next(tmp_path.rglob("*.jsonl"))
    lines = journal.read_bytes().splitlines(keepends=True)
    for place in (3, 60, 100):
        lines[place] = lines[place].replace(b"1", b"2", 1)
    exp.stop()
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(b"".join(lines) + b"[1,[torn")
    monkeypatch.setattr(tail_module, "_BLOCK", block)
    tail, found = tail_module.Tail(copy), []
    while (some := tail.read()) is not None:
        found.append(some.events if isinstance(some, tail_module.Run) else sum(type(one) is list for one in some))
    assert [bad.offset for bad in tail.bad] == [sum(map(len, lines[:place])) for place in (3, 60, 100)]
    assert sum(found) == len(lines) - 1 - 3
    assert tail.header is not None
    assert tail.torn == 8


def test_an_interrupt_while_reading_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exp = write(tmp_path)
    again = cr.attach(exp.id, store=tmp_path, mode="read")
    for i in range(1000):
        exp.record("x", latency_ms=float(i))
    exp.flush()
    monkeypatch.setattr(tail_module, "_BLOCK", 5000)
    real, calls = Replayer.replay, []

    def interrupted(self: Replayer, lines: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        real(self, lines)

    monkeypatch.setattr(Replayer, "replay", interrupted)
    with pytest.raises(KeyboardInterrupt):
        again.metrics()
    pd.testing.assert_frame_equal(again.frame(), exp.frame())
    assert len(calls) > 6
