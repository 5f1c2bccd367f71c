"""The one reader of identifiers: the same item has the same text, whatever it was held in."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import crucible_nb as cr
from crucible_nb.events.ids import id_codes, joint_codes

SAME: dict[str, Any] = {
    "int64": pd.Series([7, 8, 9]),
    "floats": pd.Series([7.0, 8.0, 9.0]),
    "text": pd.Series(["7", "8", "9"], dtype="str"),
    "objects": pd.Series([7, "8", Decimal(9)], dtype=object),
    "category of ints": pd.Series([7, 8, 9]).astype("category"),
    "category of text": pd.Series(["7", "8", "9"]).astype("category"),
    "decimals": pd.Series(
        pd.arrays.ArrowExtensionArray(pa.array([Decimal(7), Decimal(8), Decimal(9)], pa.decimal128(38, 0)))
    ),
    "uint64[pyarrow]": pd.Series([7, 8, 9], dtype="uint64[pyarrow]"),
    "Int64": pd.Series([7, 8, 9], dtype="Int64"),
}


@pytest.mark.parametrize("one", SAME)
@pytest.mark.parametrize("other", SAME)
def test_the_same_item_has_the_same_code(one: str, other: str) -> None:
    first, second = joint_codes([SAME[one], SAME[other].iloc[::-1]], "sample_id")
    assert first.tolist() == [0, 1, 2]
    assert second.tolist() == [2, 1, 0]


@pytest.mark.parametrize("name", SAME)
def test_items_are_text(name: str) -> None:
    codes, items = id_codes(SAME[name], "sample_id")
    assert codes.tolist() == [0, 1, 2]
    assert items.tolist() == ["7", "8", "9"]


def test_missing_ids_stay_missing_and_other_values_are_what_they_are() -> None:
    assert id_codes(pd.Series([1.0, np.nan, 0.5]), "x")[0].tolist() == [0, -1, 1]
    assert id_codes(pd.Series([None, "a"], dtype="str"), "x")[0].tolist() == [-1, 0]
    assert id_codes(pd.Series([True, None, False], dtype=object), "x")[0].tolist() == [0, -1, 1]
    assert id_codes(pd.Series([720575940631797753, 720575940631797754]), "x")[0].tolist() == [0, 1]
    with pytest.raises(cr.SchemaError, match=r"^x: expected text, numbers, booleans or times, got "):
        id_codes(pd.Series([[1], [2]]), "x")


def test_clusters_and_pairs_use_it() -> None:
    rng = np.random.default_rng(0)
    arm = pd.DataFrame(
        {"score": rng.normal(0, 1, 40), "session_id": np.repeat(np.arange(20.0), 2), "sample_id": range(40)}
    )
    other = arm.assign(
        score=rng.normal(0, 1, 40),
        session_id=arm.session_id.astype(int).astype(str),
        sample_id=arm.sample_id.astype(str),
    )
    same = other.assign(session_id=arm.session_id, sample_id=arm.sample_id)
    for options in ({"cluster": "session_id"}, {"paired": True}):
        one, two = cr.t_test(arm, other, metric="score", **options), cr.t_test(arm, same, metric="score", **options)
        assert one.pvalue == two.pvalue


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_files_and_records_agree(suffix: str, tmp_path: Path) -> None:
    path, rows = tmp_path / f"ids.{suffix}", pd.DataFrame({"sample_id": [1.0, np.nan, 3.0], "model": ["m", "m", "m"]})
    {"parquet": rows.to_parquet, "csv": rows.to_csv}.get(
        suffix, lambda path: rows.to_json(path, orient="records", lines=True)
    )(path)
    exp = cr.start("ids", clock="events")
    exp.extend(rows)
    assert cr.load(path).sample_id.tolist()[::2] == exp.df.sample_id.tolist()[::2] == ["1", "3"]
    assert cr.load(path).sample_id.isna().tolist() == exp.df.sample_id.isna().tolist() == [False, True, False]


def test_large_decimals_are_two_ids(tmp_path: Path) -> None:
    ids = [Decimal(720575940631797753), Decimal(720575940631797754), None]
    pq.write_table(
        pa.table({name: pa.array(ids, pa.decimal128(38, 0)) for name in ("sample_id", "x", "prompt_tokens")}),
        tmp_path / "n.parquet",
    )
    rows = cr.load(tmp_path / "n.parquet")
    assert rows.sample_id.tolist()[:2] == ["720575940631797753", "720575940631797754"]
    assert rows.x.tolist()[:2] == rows.prompt_tokens.tolist()[:2] == [720575940631797753, 720575940631797754]
    pq.write_table(pa.table({"x": pa.array([Decimal(10**30)], pa.decimal128(38, 0))}), tmp_path / "n.parquet")
    assert cr.load(tmp_path / "n.parquet").x.tolist() == [str(10**30)]


def test_versions_in_a_csv_stay_versions(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("sample_id,model_version,user_id\n1.0,1.0,a\n2.0,2.0,1.0\n")
    rows = cr.load(tmp_path / "v.csv")
    assert rows.sample_id.tolist() == ["1", "2"]
    assert rows.model_version.tolist() == ["1.0", "2.0"]
    assert rows.user_id.tolist() == ["a", "1.0"]
