"""Files of a dataset: drift between them, copies, damage, changes; right, or refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import crucible_nb as cr
from tests.conftest import need
from tests.datasets.conftest import rows, said, write

FRAME = rows(900, seed=5)


def test_types_may_differ_where_they_mean_the_same(tmp_path: Path) -> None:
    one = pa.table(
        {"latency_ms": pa.array([1, 2]), "k": pa.array([1, 2]), "model": pa.array(["a", "b"]).dictionary_encode()}
    )
    two = pa.table({"k": pa.array([1.0, None]), "latency_ms": pa.array([2.5, None]), "model": pa.array(["b", None])})
    three = pa.table(
        {"latency_ms": pa.array([True, None]), "model": pa.array([None, None]), "loss": pa.array([1.0, 2.0])}
    )
    for name, table in {"a": one, "b": two, "c": three}.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    ds = cr.open_dataset(tmp_path)
    assert ds.columns == ["latency_ms", "k", "model", "loss"]
    assert ds.metrics().latency.mean == (1 + 2 + 2.5 + 1) / 4
    assert {key: group.events for key, group in ds.metrics(by="model").items()} == {"a": 1, "b": 2, None: 3}
    assert [repr(key) for key in ds.metrics(by="k")] == ["1.0", "2.0", "None"]
    assert ds.metrics().columns["loss"].count == 2


def test_text_in_one_file_and_numbers_in_another_are_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"latency_ms": [1.0], "k": [1], "note": ["x"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"latency_ms": ["slow"], "k": ["1"], "note": [2.0]}), tmp_path / "b.parquet")
    ds = cr.open_dataset(tmp_path)
    message = r"latency_ms is double in .*a.parquet and string in .*b.parquet; expected one type in all"
    with pytest.raises(cr.SchemaError, match=message):
        ds.metrics()
    ds = cr.open_dataset(tmp_path, map={"wait": "latency_ms"})
    with pytest.raises(cr.SchemaError, match=r"^k is int64 in .*a.parquet and string in .*b.parquet"):
        ds.metrics(by="k")
    assert ds.metrics().events == 2
    assert not ds.metrics().columns  # as of a frame: columns that hold other values too are left out


def test_columns_that_are_nowhere_are_refused(tmp_path: Path) -> None:
    write(tmp_path, FRAME, [])
    ds = cr.open_dataset(tmp_path)
    for call in (lambda: ds.metrics(by="modle"), lambda: ds.query_window(where="seq > 1", columns=["modle"])):
        with pytest.raises(cr.SchemaError, match="'modle': no such column"):
            call()
    with pytest.raises(cr.SchemaError, match="^map='modle': no such column; .* did you mean 'model'"):
        cr.open_dataset(tmp_path, map={"kind": "modle"})
    with pytest.raises(cr.SchemaError, match="^time='when': no such column"):
        cr.open_dataset(tmp_path, time="when")
    for wrong in ("gpu", 0, True, 1.5):
        with pytest.raises(cr.ConfigError, match=r"^executor=.*: expected 'threads', 'processes', or a number"):
            cr.open_dataset(tmp_path, executor=wrong)
    for errors in ("raise", "skip"):  # a wrong argument is no bad file
        with pytest.raises(cr.SchemaError, match="^where="):
            cr.open_dataset(tmp_path, errors=errors).metrics(where="modle == 'a'")


def test_names_are_mapped(tmp_path: Path) -> None:
    write(tmp_path, FRAME.rename(columns={"latency_ms": "elapsed", "time": "at"}), [300])
    ds = cr.open_dataset(tmp_path, map={"latency_ms": "elapsed"}, time="at")
    assert said(ds.metrics(by="model", where="latency_ms > 3")) == said(
        FRAME.crucible.metrics(by="model", where="latency_ms > 3")
    )
    assert ds.span == (FRAME.time.min().value, FRAME.time.max().value)


def test_copies_are_refused_or_counted(tmp_path: Path) -> None:
    folder = write(tmp_path, FRAME, [300])
    shutil.copy(folder / "part-0000.parquet", folder / "again.parquet")
    with pytest.raises(cr.StoreError, match=r"part-0000.parquet is a copy of .*again.parquet, byte for byte"):
        cr.open_dataset(folder)
    ds = cr.open_dataset(folder, errors="skip")
    assert list(ds.skipped.values()) == [f"a copy of {folder / 'again.parquet'}"]
    assert ds.metrics().events == 900
    assert "1 left out" in repr(ds)
    with pytest.raises(cr.StoreError, match="is a copy of"):
        cr.open_dataset([folder / "again.parquet", folder / "again.parquet"])
    for part in ("x", "y"):  # empty files, and the same rows under different names of folders, are no copies
        write(tmp_path / f"run={part}", FRAME.iloc[:0], [])
    assert cr.open_dataset([tmp_path / "run=x", tmp_path / "run=y"]).n_rows == 0


def _flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    file.write_bytes(bytes(data))


def test_a_bad_file_is_named_or_skipped_and_counted(tmp_path: Path) -> None:
    folder = write(tmp_path, FRAME, [300, 600], write_page_checksum=True)
    bad = folder / "part-0001.parquet"
    _flip(bad, 200)
    ds = cr.open_dataset(folder)
    with pytest.raises(cr.StoreError, match=r"part-0001.parquet: cannot be read: "):
        ds.metrics()
    ds = cr.open_dataset(folder, errors="skip")
    with pytest.warns(cr.CrucibleWarning, match=r"300 rows are left out: .*part-0001.parquet"):
        metrics = ds.metrics()
    assert metrics.estimated
    assert metrics.events == 600
    assert list(ds.skipped) == [str(bad)]
    bad.write_bytes(b"PAR1 is not enough")
    with pytest.raises(cr.StoreError, match="part-0001.parquet: cannot be read"):
        cr.open_dataset(folder)
    assert cr.open_dataset(folder, errors="skip").n_rows == 600


def test_values_that_are_no_numbers_name_their_file(tmp_path: Path) -> None:
    good, bad = pd.DataFrame({"success": [1, 0]}), pd.DataFrame({"success": [1, 2]})
    for name, frame in (("good", good), ("bad", bad)):
        frame.to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(cr.SchemaError, match=r"bad.parquet: success: expected true, false or missing, got 2"):
        cr.open_dataset(tmp_path).metrics()


def test_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, FRAME, [300])
    ds = cr.open_dataset(folder)
    FRAME.iloc[:10].to_parquet(folder / "part-0000.parquet")
    with pytest.raises(cr.StoreError, match=r"part-0000.parquet: the file has changed since the dataset was opened"):
        ds.metrics()
    (folder / "part-0000.parquet").unlink()
    with pytest.raises(cr.StoreError, match=r"part-0000.parquet: cannot be read: no such file"):
        ds.metrics()


def test_sources_that_are_none(tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "no.parquet", f"{tmp_path}/*.parquet"):
        with pytest.raises(cr.StoreError, match="no such file, or a folder without .parquet files"):
            cr.open_dataset(source)
    with pytest.raises(cr.ConfigError, match="^source=5: expected a path"):
        cr.open_dataset(5)
    for argument in ({"executor": "magic"}, {"errors": "ignore"}, {"memory": -1}):
        with pytest.raises(cr.ConfigError, match=f"^{next(iter(argument))}="):
            cr.open_dataset(FRAME, **argument)


def test_only_the_columns_and_files_asked_for_are_read(tmp_path: Path) -> None:
    fsspec = need("fsspec")
    memory = fsspec.filesystem("memory")
    rng = FRAME.sort_values("time")
    for number in range(3):
        with memory.open(f"/bucket/part-{number}.parquet", "wb") as file:
            rng.iloc[number * 300 : (number + 1) * 300].to_parquet(file, index=False)
    ds = cr.open_dataset("memory://bucket/*.parquet")
    assert said(ds.metrics(by="model")) == said(FRAME.crucible.metrics(by="model"))
    memory.rm("/bucket/part-2.parquet")
    first = ds.query_window(end=rng.time.iloc[100], columns="loss")
    assert first.loss.tolist() == rng.loss.iloc[:100].tolist()


def test_large_files_are_divided_by_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crucible_nb.datasets.parquet_files.UNIT", 250)
    ds = cr.open_dataset(write(tmp_path, FRAME, [], row_group_size=100))
    assert [unit.rows for unit in ds.units] == [300, 300, 300]
    assert ds.units[1].name.endswith("part-0000.parquet row groups 3 to 5")
    assert said(ds.metrics(by="model")) == said(FRAME.crucible.metrics(by="model"))
