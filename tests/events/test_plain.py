"""Values are plain when they are recorded: nothing that changes or fails later can change or cost an event."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import crucible_nb as cr
from crucible_nb.events.kinds import Columns
from crucible_nb.events.rows import batch_of_rows
from crucible_nb.events.scalars import PLAIN, plain
from crucible_nb.utils.problems import Problems

MISFIT = "ignore::crucible_nb.errors.CrucibleWarning"
NAMES = ("latency_ms", "cost_usd", "success", "model", "prompt_tokens", "completion_tokens")


class Hostile:
    """Everything that Python may ask of it raises."""

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError("Array has been deleted")

    ndim = 0
    item = __float__ = __int__ = __index__ = __bool__ = __eq__ = __hash__ = __repr__ = __str__ = __len__ = _fail  # type: ignore[assignment]


class Vanishing:
    """An object whose very class cannot be asked for."""

    @property
    def __class__(self) -> Any:
        raise ZeroDivisionError

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class Tensor:
    """A tensor of one element, as torch and jax have them."""

    def __init__(self, value: Any, shape: tuple[int, ...] = ()) -> None:
        self.value, self.shape, self.ndim = value, shape, len(shape)

    def item(self) -> Any:
        return self.value


@pytest.mark.filterwarnings(MISFIT)
@pytest.mark.parametrize(
    "make", [Hostile, Vanishing, lambda: [Hostile()], lambda: {"a": Hostile()}], ids=["one", "class", "list", "dict"]
)
@pytest.mark.parametrize("name", [*NAMES, "event", "x", "sample_id", "time", "error", "metadata"])
@pytest.mark.parametrize("stored", [False, True])
def test_a_hostile_value_costs_itself_alone(make: Any, name: str, stored: bool, tmp_path: Path) -> None:
    odd = make()
    exp = cr.start("hostile", store=tmp_path if stored else None)
    for i in range(10):
        exp.record("e", latency_ms=float(i), x=i, model="m")
    assert exp.record(odd, cost_usd=0.5) if name == "event" else exp.record("odd", **{name: odd})
    exp.record("mapping", {name: odd})
    for i in range(10):
        exp.record("e", latency_ms=float(i), x=i, model="m")
    assert len(exp.df) == 22
    assert exp.metrics().events == 22
    assert exp.metrics().latency.count == 20
    assert exp.df.x.dropna().tolist() == [*range(10)] * 2
    assert exp.summary()["errors"] == 0
    assert exp.extend([{name: odd, "latency_ms": 1.0}, {"latency_ms": 2.0}], event="list") == 2
    assert exp.metrics().latency.count == 22


def test_a_value_that_changes_is_recorded_as_it_was() -> None:
    exp, total = cr.start("running"), np.zeros(())
    tensor = Tensor(0)
    for _ in range(3):
        total += 1
        tensor.value += 1
        exp.record("step", {"spent": total}, cost_usd=total, latency_ms=total, prompt_tokens=tensor, success=total == 2)
    assert exp.df.cost_usd.tolist() == exp.df.latency_ms.tolist() == exp.df.spent.tolist() == [1.0, 2.0, 3.0]
    assert exp.df.prompt_tokens.tolist() == [1, 2, 3]
    assert exp.df.success.tolist() == [False, True, False]
    assert exp.metrics().cost.total == 6.0


@pytest.mark.filterwarnings(MISFIT)
def test_what_is_no_scalar_under_a_standard_keyword_is_kept_as_it_was() -> None:
    exp, things = cr.start("lists"), [1]
    exp.record("e", latency_ms=things, model=things)
    things.append(2)
    assert json.loads(exp.df.metadata.iloc[0]) == {"latency_ms": [1], "model": [1]}


@pytest.mark.parametrize(
    ("value", "name", "number"),
    [
        (np.float16(0.5), "", 0.5),
        (np.longdouble(1) / 3, "", 1 / 3),
        (np.longdouble(2**53 + 1), "", 2**53 + 1),
        (np.uint64(2**64 - 1), "", 2**64 - 1),
        (np.ma.masked, "", None),
        (Decimal("0.0021"), "", 0.0021),
        (Decimal("3"), "", 3),
        (Decimal("9007199254740993.0"), "", 2**53 + 1),
        (Decimal("1E+3"), "", 1000),
        (Fraction(1, 3), "", 1 / 3),
        (Fraction(6, 2), "", 3),
        (Tensor(2.5, (1, 1)), "", 2.5),
        (np.array([7]), "", 7),
        (np.array(np.timedelta64(5, "m")), "wait_ms", 300_000.0),
        (pa.scalar(5), "", 5),
        (pa.scalar(None), "", None),
        (pa.scalar(dt.timedelta(seconds=2)), "took", 2.0),
        (dt.timedelta(microseconds=1), "latency_ms", 0.001),
        (pd.Timedelta("1ns"), "latency_ms", 1e-6),
        (np.timedelta64(3, "W"), "took", 3 * 7 * 86_400.0),
        (np.timedelta64("NaT"), "took", None),
        (np.datetime64("NaT"), "", None),
        (ValueError("x"), "error", "ValueError"),
    ],
)
def test_plain_values(value: Any, name: str, number: Any) -> None:
    got = plain(value, name)
    assert (got, type(got)) == (number, type(number))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1j, ""), (np.complex128(1), ""), (b"x", ""), (np.array([1, 2]), ""), (Tensor(0, (2,)), ""), (dt.date(2025, 1, 1), ""),
        (np.datetime64("2025-01-01", "ns"), ""), (Fraction(10**400, 3), ""), (ValueError(), "x"),
        (np.longdouble("1e400"), ""), (Decimal("1E+999999"), ""), (np.timedelta64(1, "Y"), "took"), (dt.timedelta(1), "cost_usd"),
        (dt.timedelta(1), "prompt_tokens"), (dt.timedelta(1), "model"),
    ],
)  # fmt: skip
def test_what_has_no_plain_value_stays(value: Any, name: str) -> None:
    assert type(plain(value, name)) not in PLAIN


def test_a_failing_cell_is_dropped_and_its_neighbours_are_not() -> None:
    problems, columns = Problems("late"), Columns()
    rows: list[Any] = [1, "e", 5.0, None, None, "m", None, None, {"x": 1}]
    rows += [2, Hostile(), None, None, None, "m", None, None, {"x": 2}]
    fit = columns.fit

    def breaks(name: str, values: list[Any]) -> Any:
        if name == "x" and 2 in values:
            raise MemoryError("no room")
        return fit(name, values)

    columns.fit = breaks  # type: ignore[method-assign]
    with pytest.warns(cr.CrucibleWarning) as said:
        batch = batch_of_rows(rows, 0, columns, problems)
    sentence = "a value could not be recorded: stage 'record', column 'x', value 2: MemoryError: no room; the value was dropped"
    assert str(said[0].message) == f"experiment 'late': {sentence}"
    assert len(batch) == 2
    assert batch.cells["latency_ms"].values[0] == 5.0
    assert batch.cells["x"].floats()[0] == 1
    assert batch.cells["event"].values.tolist() == [0, -1]
    assert problems.counts["errors"] == 1


def test_a_warning_names_the_users_line() -> None:
    exp = cr.start("line")
    with pytest.warns(cr.CrucibleWarning) as said:
        exp.extend(pd.DataFrame({"latency_ms": ["slow"]}))
    assert said[0].filename == __file__
    with pytest.warns(cr.CrucibleWarning) as dropped:
        exp.extend([{"seq": 3}])
    assert dropped[0].filename == __file__
