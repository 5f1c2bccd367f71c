"""Windows of a dataset: the bits of one frame with exact=False, however its rows are divided."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crucible_nb as cr
from tests.datasets.conftest import rows, write
from tests.tiers import every_third, examples

FRAME = rows(6_000).assign(latency_ms=lambda frame: frame.latency_ms.where(frame.latency_ms < 1e6))
ASKED = ["loss", "share(latency_ms < 20)", "max_loss", "min_step", "cost_per_success", "p90_loss", "events_per_second"]
GRIDS: dict[str, dict[str, Any]] = {
    "minutes": {"window": "1min"},
    "large": {"window": "2h"},
    "sliding": {"window": "10min", "step": "4min"},
    "gaps": {"window": "1min", "step": "5min"},
    "right": {"window": "7min", "closed": "right", "origin": "epoch"},
    "months": {"window": "ME"},
}


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Equal to the bit: values, index, dtypes of values."""
    assert list(found.columns) == list(expected.columns)
    assert found.dtypes.to_dict() == expected.dtypes.to_dict()
    assert found.index.names == expected.index.names
    assert _keys(found) == _keys(expected)
    plain = found.reset_index(drop=True), expected.reset_index(drop=True)
    pd.testing.assert_frame_equal(*plain, rtol=0, atol=0)


def _keys(table: pd.DataFrame) -> list[Any]:
    """The index, where a missing key of any dtype is None."""
    levels = [table.index.get_level_values(level) for level in range(table.index.nlevels)]
    return [[None if pd.isna(key) else key for key in level] for level in levels]


@pytest.mark.parametrize("kind", every_third(GRIDS))
def test_windows_have_the_bits_of_the_frame(tmp_path: Path, kind: str) -> None:
    by = "model"
    expected = FRAME.crucible.windowed_metrics(**GRIDS[kind], by=by, columns=ASKED, exact=False)
    for name, frame in (("sorted", FRAME.sort_values("time")), ("mixed", FRAME)):
        ds = cr.open_dataset(write(tmp_path / name, frame, [1, 2_000, 2_001, 5_000]))
        same(ds.windowed_metrics(**GRIDS[kind], by=by, columns=ASKED), expected)


@given(st.integers(1, 40), st.integers(0, 2**32), st.lists(st.floats(0, 1), max_size=4), st.sampled_from(sorted(GRIDS)))
@examples(60)
def test_any_partitioning_and_order(n: int, seed: int, places: list[float], kind: str) -> None:
    frame = FRAME.iloc[np.random.default_rng(seed).permutation(n)]
    if seed % 3 == 0:
        frame = frame.assign(weight=np.where(frame.step % 2 == 0, 1.0, 4.0))
    by = ["model", "success"] if seed % 2 else None
    expected = FRAME.iloc[:n].assign(**{"weight": frame.weight} if "weight" in frame else {})
    with TemporaryDirectory() as folder:
        write(Path(folder), frame, sorted(int(place * n) for place in places), row_group_size=1 + seed % 20)
        found = cr.open_dataset(folder).windowed_metrics(**GRIDS[kind], by=by, columns="loss")
    same(found, expected.crucible.windowed_metrics(**GRIDS[kind], by=by, columns="loss", exact=False))


def test_files_in_order_of_time_keep_few_values(tmp_path: Path) -> None:
    from crucible_nb.datasets import merge
    from crucible_nb.datasets.state import measure
    from crucible_nb.datasets.windows import WindowsSpec

    ds = cr.open_dataset(write(tmp_path, FRAME.sort_values("time"), [2_000, 4_000]))
    start = FRAME.time.min().floor("min").value
    spec = WindowsSpec(edges=start + np.arange(120) * 60 * 10**9)
    states = [measure(spec, unit).state for unit in ds.units]
    whole = merge(merge(states[0], states[1]), states[2])
    assert whole.values[0].entries < 4 * 62  # of the two minutes that files share
    cells, found = whole.values[0].quantiles()
    assert len(cells) == len(np.unique(cells)) == found.shape[1] == 98


def test_rows_that_a_condition_leaves_out(tmp_path: Path) -> None:
    ds = cr.open_dataset(write(tmp_path, FRAME, [3_000]))
    where = "model == 'b' and time < '2025-01-01 01:00'"
    same(ds.windowed_metrics("5min", where=where), FRAME.crucible.windowed_metrics("5min", where=where, exact=False))
    for by in (None, "model", ["model", "success"]):
        none = ds.windowed_metrics("5min", by=by, columns=ASKED, where="loss > 1e99")
        assert len(none) == 0
        assert list(none.columns) == list(FRAME.crucible.windowed_metrics("5min", columns=ASKED).columns)


def test_days_are_those_of_the_time_zone(tmp_path: Path) -> None:
    berlin = FRAME.assign(time=FRAME.time.dt.tz_convert("Europe/Berlin") + pd.Timedelta("88D"))
    ds = cr.open_dataset(write(tmp_path, berlin, [3_000]))
    same(ds.windowed_metrics("D"), berlin.crucible.windowed_metrics("D", exact=False))


def test_what_windows_of_states_cannot_say() -> None:
    ds = cr.open_dataset(FRAME)
    with pytest.raises(cr.ConfigError, match="columns='last_loss': the last value of a window is not known from"):
        ds.windowed_metrics("1min", columns="last_loss")
    with pytest.raises(cr.SchemaError, match="no such column"):
        ds.windowed_metrics("1min", columns="lost")
    with pytest.raises(
        cr.ConfigError, match=r"window: the states of .* windows and groups take about .* memory=0.0 MB"
    ):
        cr.open_dataset(FRAME, memory=10_000).windowed_metrics("1s")
    with pytest.raises(cr.SchemaError, match="dataset: expected a column 'time', or time=, for windows"):
        cr.open_dataset(FRAME.drop(columns="time")).windowed_metrics("1min")
