"""What a page shows beside the fixed charts: groups, steps, lists of events, a selected span; against pandas."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.notebook import wire
from crucible_nb.notebook.messages import Composer
from crucible_nb.notebook.top_rows import TOP, ErrorCounts, TopRows
from crucible_nb.testing import ManualClock
from tests.notebook.test_wire import Listener

SECOND = 10**9


def look(composer: Composer, **choice: Any) -> tuple[Any, Listener]:
    """A keyframe after a choice, and what a browser made of it."""
    composer.choices.apply(wire.parse_browser_message({"kind": "pick", **choice}))
    composer.update(with_metrics=True)
    message, buffers = composer.keyframe()
    listener = Listener()
    listener.take(message, buffers)
    return message, listener


def columns(listener: Listener) -> pd.DataFrame:
    return pd.DataFrame(listener.bins, index=listener.series).T.sort_index()


@pytest.fixture
def rows(rng: np.random.Generator) -> pd.DataFrame:
    n = 4000
    time = pd.to_datetime(1_700_000_000 * SECOND + np.sort(rng.integers(0, 100 * SECOND, n)), utc=True)
    return pd.DataFrame(
        {
            "model": rng.choice([*"abcdefgh", None], n, p=[0.3, 0.2, 0.1, 0.1, 0.08, 0.07, 0.05, 0.05, 0.05]),
            "latency_ms": rng.lognormal(5, 1, n), "success": rng.random(n) < 0.9, "cost_usd": rng.random(n),
            "error": np.where(rng.random(n) < 0.1, rng.choice(["TimeoutError", "RateLimitError"], n), None),
            "sample_id": [f"q{i}" for i in range(n)], "step": np.arange(n) // 2, "loss": rng.random(n),
        },
        index=time,
    )  # fmt: skip


def test_groups_are_those_of_pandas_and_keep_their_lines(rows: pd.DataFrame) -> None:
    exp = cr.start("groups", clock="events")
    exp.extend(rows.iloc[:3000])
    composer = Composer([exp], 0.5)
    message, _ = look(composer, window="all", by="model")
    assert message["groups"] == ["a", "b", "c", "d", "e", "f", "(rest)"]
    exp.extend(rows.iloc[3000:])
    message, listener = look(composer)
    assert message["groups"] == ["a", "b", "c", "d", "e", "f", "(rest)"]
    found, width = columns(listener), int(message["arms"][0]["width"] * 1e6)
    named = rows["model"].where(rows["model"].isin(list("abcdef")), "(rest)")
    of_bin = rows.groupby([named, rows.index.asi8 // width])
    p95, success, cost = of_bin["latency_ms"].quantile(0.95), of_bin["success"].mean(), of_bin["cost_usd"].sum()
    for slot, name in enumerate(message["groups"]):
        np.testing.assert_allclose(found[f"success|{slot}"].dropna(), success[name], rtol=1e-6)
        np.testing.assert_allclose(found[f"p95|{slot}"].dropna(), p95[name], rtol=1e-2)
        whole = found.index[1:-1]
        np.testing.assert_allclose(
            found.loc[whole, f"cost|{slot}"] * width / SECOND / 3600, cost[name].reindex(whole, fill_value=0), rtol=1e-6
        )
    rates = found[[f"rate|{i}" for i in range(7)]].sum(axis=1)
    np.testing.assert_allclose(rates, found["rate"], rtol=1e-6)
    assert look(composer, by="")[0]["groups"] == []
    assert look(composer, by="no such column")[0]["by"] == ""


def test_groups_of_several_arms_share_their_lines(rows: pd.DataFrame) -> None:
    parts = [rows[rows["model"].isin(names)] for names in (["a", "b", "c"], ["b", "d", "e", "f", "g", "h"])]
    arms = [cr.start(name, clock="events", by=["step", name]) for name in "AB"]
    for exp, part in zip(arms, parts, strict=True):
        exp.extend(part)
    composer = Composer(arms, 0.5)
    composer.choices.apply(wire.parse_browser_message({"kind": "by", "by": "model"}))
    composer.choices.apply(wire.parse_browser_message({"kind": "window", "window": "all"}))
    composer.update(with_metrics=True)
    message, buffers = composer.keyframe()
    assert message["groupings"] == ["event", "model", "step"]
    assert message["groups"] == ["a", "b", "c", "d", "e", "f", "(rest)"]
    for arm, buffer, part in zip(message["arms"], buffers, parts, strict=True):
        listener = Listener()
        listener.take({**message, "arms": [arm]}, [buffer])
        found = columns(listener)
        named = part["model"].where(part["model"].isin(list("abcdef")), "(rest)")
        expected = part.groupby([named, part.index.asi8 // int(arm["width"] * 1e6)])["success"].mean()
        for slot, name in enumerate(message["groups"]):
            known = found[f"success|{slot}"].dropna()
            np.testing.assert_allclose(known, expected[name] if name in expected.index else [], rtol=1e-6)


@pytest.mark.check
@pytest.mark.parametrize("window", ["1min", "1h"])
def test_ticks_of_groups_add_up_to_a_keyframe(window: str, clock: ManualClock, rng: np.random.Generator) -> None:
    exp = cr.start("ticks", clock=clock, by=["user"])
    composer = Composer([exp], 0.5)
    _, listener = look(composer, window=window, by="user")
    sizes = []
    for i in range(90):
        for _ in range(5):
            exp.record("call", latency_ms=rng.lognormal(5, 1), success=True, cost_usd=0.1, user=f"u{i * 7 % 11}")
            clock.tick(0.02)
        clock.tick(0.4)
        composer.update()
        message, buffers = composer.tick()
        listener.take(message, buffers)
        sizes += [len(json.dumps(message)) + len(buffers[0])] if message["kind"] == "tick" else []
    fresh = Listener()
    fresh.take(*composer.keyframe())
    assert len(fresh.series) == len(wire.SERIES) + 4 * 7
    assert max(sizes) < 2000
    for number, row in fresh.bins.items():
        np.testing.assert_array_equal(listener.bins[number], row)


def test_a_training_begins_with_its_steps(rows: pd.DataFrame) -> None:
    exp = cr.start("training", clock="events")
    composer = Composer([exp], 0.5)
    training = rows[["step", "loss"]].sample(frac=1.0, random_state=1)  # late and repeated steps
    for part in np.array_split(np.arange(len(training)), 7):
        exp.extend(training.iloc[part], event="train.step")
        message, listener = look(composer)
    found, width = columns(listener), int(message["arms"][0]["width"])
    assert (message["axis"], message["has_steps"]) == ("step", True)
    expected = rows.groupby(rows["step"] // width)["loss"]
    np.testing.assert_allclose(found["mean:loss"], expected.mean(), rtol=1e-6)
    np.testing.assert_allclose(found["high:loss"], expected.max(), rtol=1e-6)
    newest = training.sort_index(kind="stable")["loss"].iloc[-1]
    assert listener.cards["last:loss"] == newest
    assert look(composer, axis="time")[0]["axis"] == "time"
    assert found["rate"].isna().all()


def test_one_with_latency_begins_with_time_and_several_with_the_time_since_the_start(rows: pd.DataFrame) -> None:
    one, two = cr.start("one", clock="events"), cr.start("two", clock="events")
    one.extend(rows[["latency_ms", "step"]])
    assert look(Composer([one], 0.5))[0]["axis"] == "time"
    message, _ = look(Composer([one, two], 0.5))
    assert (message["axis"], message["groupings"]) == ("elapsed", ["event", "model"])


def test_the_lists_are_those_of_pandas(rows: pd.DataFrame) -> None:
    exp = cr.start("lists", clock="events")
    composer = Composer([exp], 0.5)
    for part in np.array_split(np.arange(len(rows)), 9):
        exp.extend(rows.iloc[part], event="call")
        composer.update()
    look(composer, window="all")
    tables = composer.tables(always=True)["arms"][0]
    assert dict(tables["errors"]) == rows["error"].value_counts().to_dict()
    for name, column in (("slowest", "latency_ms"), ("dearest", "cost_usd")):
        expected = rows.nlargest(TOP, column)
        assert [row["ids"]["sample_id"] for row in tables[name]] == expected["sample_id"].tolist()
        assert [row["value"] for row in tables[name]] == pytest.approx(expected[column].tolist(), rel=1e-5)
        assert all(row["texts"]["event"] == "call" for row in tables[name])
    assert composer.tables() is None
    start = rows.index[1000].value // 10**6
    _, listener = look(composer, span=[[start, start + 20_000]])
    inside = exp.query_window(start=start * 10**6, end=(start + 20_000) * 10**6)
    assert listener.cards["events"] == len(inside)
    chosen = composer.tables(always=True)["arms"][0]
    assert [row["value"] for row in chosen["slowest"]] == pytest.approx(
        inside.latency_ms.nlargest(6).tolist(), rel=1e-5
    )
    assert dict(chosen["errors"]) == inside["error"].value_counts().to_dict()
    assert len(json.dumps(composer.tables(always=True))) < 4096
    assert look(composer, window="all")[0]["span"] is None


@pytest.mark.parametrize("level", ["second", "minute"])
def test_old_buckets_leave_a_list(level: str, rng: np.random.Generator) -> None:
    top, errors = TopRows(level), ErrorCounts(level)
    time = np.sort(rng.integers(0, 5000 * SECOND, 20_000))
    values, seq = rng.random(20_000), np.arange(20_000)
    for part in np.array_split(seq, 30):
        top.add(time[part], values[part], 0, seq[part])
        errors.add(time[part], ["E"] * len(part), np.ones(len(part)))
    now, span = int(time[-1]), 60 * SECOND if level == "second" else 3600 * SECOND
    width = top.level.width
    inside = time >= (now - span) // width * width
    assert [seq for *_, seq in top.largest(now - span, now)] == np.flatnonzero(inside)[
        np.argsort(-values[inside])[:TOP]
    ].tolist()
    assert errors.total(now - span, now)["E"] == inside.sum()
    assert len(top._buckets) <= top.level.size


def test_long_texts_do_not_make_long_messages() -> None:
    exp = cr.start("long", by=["user"])
    composer = Composer([exp, cr.start("b"), cr.start("c")], 0.5)
    for i in range(300):
        exp.record(
            "e" * 500, latency_ms=float(i), cost_usd=1.0, error=f"{i}" * 300, sample_id="ü" * 900, model="m" * 99
        )
    composer.update()
    assert len(json.dumps(composer.tables(always=True))) < 4096
