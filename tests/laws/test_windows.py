"""Laws of windows: every window equals a recomputation from its own rows, however rows and windows lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.windows import sliding_frames, windowed_metrics
from crucible_nb.windows.panes import Panes
from crucible_nb.windows.quantiles import quantiles
from crucible_nb.windows.sketch import BOUND, sketch
from tests.conftest import need
from tests.tiers import examples

pytestmark = pytest.mark.untraced  # a law over many examples; to trace each line of them takes twice as long

T0 = pd.Timestamp("2025-01-01 07:03:11", tz="UTC").value
SECOND = 10**9
Q = np.array([0.5, 0.95, 0.99])

known = st.floats(-1e12, 1e12, allow_subnormal=False)
maybe = known | st.just(float("nan"))


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Rows at whole seconds (so that times tie and meet edges), in any order, with anything missing."""
    n = draw(st.integers(1, 40))
    seconds = draw(st.lists(st.integers(0, 300), min_size=n, max_size=n))
    columns: dict[str, Any] = {
        "latency_ms": draw(st.lists(maybe, min_size=n, max_size=n)),
        "cost_usd": draw(st.lists(maybe, min_size=n, max_size=n)),
        "success": pd.array(
            draw(st.lists(st.sampled_from([True, False, None]), min_size=n, max_size=n)), dtype="boolean"
        ),
        "total_tokens": pd.array(
            draw(st.lists(st.none() | st.integers(0, 5000), min_size=n, max_size=n)), dtype="Int64"
        ),
        "loss": draw(st.lists(maybe, min_size=n, max_size=n)),
        "model": pd.array(draw(st.lists(st.sampled_from(["a", "b", None]), min_size=n, max_size=n)), dtype="str"),
    }
    gone = draw(st.sets(st.sampled_from(["latency_ms", "cost_usd", "success", "total_tokens"])))
    times = pd.DatetimeIndex([T0 + second * SECOND for second in seconds], tz="UTC")
    return pd.DataFrame(columns, index=times).drop(columns=list(gone))


def expected(rows: pd.DataFrame) -> dict[str, Any]:
    """One window, from its rows, in the plainest way."""
    got: dict[str, Any] = {"event_count": len(rows)}
    for name in ("latency_ms", "loss"):
        values = rows[name].dropna().to_numpy() if name in rows else np.array([])
        got[f"mean_{name}"] = values.mean() if len(values) else np.nan
        for label, q in zip(("p50", "p95", "p99"), Q, strict=True):
            got[f"{label}_{name}"] = np.quantile(values, q) if len(values) else np.nan
    for name in ("cost_usd", "total_tokens"):
        values = rows[name].dropna() if name in rows else rows.iloc[:, 0][:0]
        got[f"total_{name}".replace("total_total", "total")] = values.sum() if len(values) or not len(rows) else np.nan
    done = rows["success"].dropna() if "success" in rows else pd.Series([], dtype="boolean")
    got |= {"success_count": int(done.sum()), "failure_count": int((~done).sum())}
    return got | {"success_rate": float(done.mean()) if len(done) else np.nan}


def agree(row: Any, rows: pd.DataFrame) -> None:
    for name, value in expected(rows).items():
        mine = row[name]
        mine = np.nan if mine is pd.NA else mine
        if name[0] == "p" or "count" in name or "tokens" in name:
            assert mine == value or (np.isnan(mine) and np.isnan(value)), (name, mine, value)
        else:
            np.testing.assert_allclose(mine, value, rtol=1e-12, atol=1e-3, err_msg=name)  # of values up to 1e12


@examples(60)
@given(
    frame=frames(),
    window=st.integers(1, 200),
    step=st.none() | st.integers(7, 200),
    by=st.none() | st.just("model"),
    closed=st.sampled_from(["left", "right"]),
    origin=st.sampled_from(["start_day", "start", "epoch", "end"]),
)
def test_every_window_is_a_function_of_its_own_rows(
    frame: pd.DataFrame, window: int, step: int | None, by: str | None, closed: str, origin: str
) -> None:
    before = frame.copy()
    span = {"window": f"{window}s", "step": None if step is None else f"{step}s"}
    table = windowed_metrics(frame, **span, by=by, columns=["loss"], closed=closed, origin=origin)
    pd.testing.assert_frame_equal(frame, before)

    times = frame.index
    for key, row in table.iterrows():
        start, end = (key[0] if by else key), row["window_end"]
        inside = (times >= start) & (times < end) if closed == "left" else (times > start) & (times <= end)
        if by:
            inside &= (frame["model"].isna() if pd.isna(key[1]) else frame["model"] == key[1]).to_numpy(bool)
        agree(row, frame[inside])

    starts = table.index.get_level_values(0).unique()
    bins = pd.Series(1, times.sort_values()).resample(
        span["step"] or span["window"], closed=closed, origin=origin, label="left"
    )
    sizes = bins.size()  # with origin="end" pandas may begin with a bin before the first event
    np.testing.assert_array_equal(starts.asi8, sizes.index.asi8[int(np.argmax(sizes > 0)) :])
    if by:
        groups = frame.groupby("model", dropna=False).size().index
        assert len(table) == len(starts) * len(groups)
        pd.testing.assert_index_equal(table.loc[starts[0]].index, groups, exact=False)


@examples(30)
@given(frame=frames(), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(frame: pd.DataFrame, order: Any) -> None:
    places = list(range(len(frame)))
    order.shuffle(places)
    shuffled = frame.iloc[places]
    one = windowed_metrics(frame.sort_index(kind="stable"), "60s", "17s")
    two = windowed_metrics(shuffled, "60s", "17s")
    pd.testing.assert_frame_equal(one, two, rtol=1e-12)


@examples(30)
@given(frame=frames(), weights=st.data())
def test_whole_weights_mean_repeated_rows(frame: pd.DataFrame, weights: Any) -> None:
    times = weights.draw(st.lists(st.integers(1, 4), min_size=len(frame), max_size=len(frame)))
    frame = frame.sort_index(kind="stable")
    weighted = windowed_metrics(frame.assign(weight=np.array(times, dtype=float)), "60s", "17s", columns=["loss"])
    repeated = windowed_metrics(frame.iloc[np.repeat(np.arange(len(frame)), times)], "60s", "17s", columns=["loss"])
    pd.testing.assert_frame_equal(weighted, repeated, check_dtype=False, rtol=1e-9, atol=1e-3)
    for name in ("p50_latency_ms", "p95_latency_ms", "p99_loss"):
        np.testing.assert_array_equal(weighted[name], repeated[name])


@examples(30)
@given(frame=frames())
def test_weights_of_one_change_no_bit(frame: pd.DataFrame) -> None:
    plain = windowed_metrics(frame, "60s", "17s", by="model")
    pd.testing.assert_frame_equal(
        windowed_metrics(frame.assign(weight=1.0), "60s", "17s", by="model"), plain, check_exact=True
    )


@examples(40)
@given(frame=frames(), window=st.integers(1, 200), step=st.integers(7, 200))
def test_sliding_frames_are_the_windows_of_the_table(frame: pd.DataFrame, window: int, step: int) -> None:
    table = windowed_metrics(frame, f"{window}s", f"{step}s")
    slices = list(sliding_frames(frame, f"{window}s", f"{step}s"))
    assert [start for start, _, _ in slices] == table.index.tolist()
    assert [end for _, end, _ in slices] == table["window_end"].tolist()
    assert [len(rows) for _, _, rows in slices] == table["event_count"].tolist()


@st.composite
def columns(draw: st.DrawFn, values: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A column and rising windows over it, ragged, empty ones and gaps among them."""
    column = np.array(draw(st.lists(values, max_size=300)), dtype=float)
    lo = np.sort(np.array(draw(st.lists(st.integers(0, len(column)), min_size=1, max_size=30)), dtype=np.int64))
    hi = np.maximum.accumulate(np.minimum(lo + draw(st.integers(0, 200)), len(column)))
    return column, lo, hi


ties = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 1.0, 2.0, np.inf])
any_known = known | ties | st.floats(allow_nan=False)

KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy": lambda rng, n: rng.pareto(0.7, n),
    "tied": lambda rng, n: rng.integers(0, 4, n).astype(float),
    "half tied": lambda rng, n: np.where(rng.random(n) < 0.5, -0.0, rng.normal(size=n)),
    "infinite": lambda rng, n: rng.choice([-np.inf, 0.0, 1.0, np.inf], n),
    "drifting": lambda rng, n: rng.normal(size=n) + np.arange(n),
    "constant": lambda rng, n: np.full(n, 2.5),
}


@st.composite
def long_columns(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of up to 2,000 rows under large windows: even ones, ragged ones, two runs of them (as two groups)."""
    n = draw(st.integers(100, 2000))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    column = KINDS[draw(st.sampled_from(sorted(KINDS)))](rng, n)
    lo = np.arange(0, n, draw(st.integers(20, 300)))
    length = draw(st.integers(1, n))
    hi = lo + (rng.integers(0, length, len(lo)) if draw(st.booleans()) else length)
    if draw(st.booleans()):
        lo, hi = np.concatenate([lo, lo]), np.concatenate([hi, hi])
    return column, lo, hi.clip(max=n)


def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled search as plain Python, so that it is measured and debugged as everything else."""
    from crucible_nb.windows import compiled

    for name, kernel in list(vars(compiled).items()):
        if hasattr(kernel, "py_func"):
            monkeypatch.setattr(compiled, name, kernel.py_func)


@examples(100)
@given(case=columns(known) | long_columns())
def test_exact_quantiles_are_those_of_numpy_to_the_bit(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    column, lo, hi = case
    mine = quantiles(column, lo, hi, Q, compiled=False)
    for i, (a, b) in enumerate(zip(lo, hi, strict=True)):
        np.testing.assert_array_equal(mine[:, i], quantile_of_sorted(np.sort(column[a:b]), Q))
        if b > a and np.isfinite(column[a:b]).all():
            np.testing.assert_array_equal(mine[:, i], np.quantile(column[a:b], Q))


@pytest.mark.parametrize("plain", [True, pytest.param(False, marks=pytest.mark.check)])
def test_numba_and_numpy_give_the_same_bits(plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    need("numba")
    if plain:
        kernels(monkeypatch)

    @examples(40 if plain else 200)
    @given(case=columns(any_known) | long_columns(), q=st.lists(st.floats(0, 1), min_size=1, max_size=4))
    def same(case: tuple[np.ndarray, np.ndarray, np.ndarray], q: list[float]) -> None:
        column, lo, hi = case
        rising = np.sort(np.array(q))
        one = quantiles(column, lo, hi, rising, compiled=True)
        two = quantiles(column, lo, hi, rising, compiled=False)
        assert one.tobytes() == two.tobytes()

    same()


@examples(100)
@given(case=columns(st.floats(0, 1e300) | st.sampled_from([0.0, 1.0, 5e-324])))
def test_histogram_quantiles_keep_their_bound(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    column, lo, hi = case
    rough, exact = sketch(column, lo, hi, Q), quantiles(column, lo, hi, Q, compiled=False)
    np.testing.assert_array_equal(np.isnan(rough), np.isnan(exact))
    # beside the promise, interpolation itself rounds, and the smallest numbers have no digits to keep
    assert (np.abs(rough - exact) <= BOUND * np.abs(exact) * (1 + 1e-12) + 1e-323)[~np.isnan(exact)].all()


@examples(60)
@given(case=columns(st.integers(-1000, 1000).map(float) | st.just(float("nan"))))
def test_folds_of_panes_are_sums_of_rows(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    column, lo, hi = case
    total, count = Panes(lo, hi).sums(column)
    for i, (a, b) in enumerate(zip(lo, hi, strict=True)):
        assert total[i] == np.nansum(column[a:b])
        assert count[i] == (~np.isnan(column[a:b])).sum()
