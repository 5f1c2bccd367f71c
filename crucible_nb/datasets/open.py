"""Find the units of a source: files by path, glob, folder or URL, tables of Arrow, frames, partitions of dask."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa

from crucible_nb.datasets.parquet_files import UNIT, Bad, File, plan, read_footers
from crucible_nb.datasets.schema import Schema
from crucible_nb.datasets.units import ROWS, ComputedUnit, FrameUnit, Span, Unit
from crucible_nb.errors import StoreError
from crucible_nb.events.times import times_of
from crucible_nb.files.disk import as_path
from crucible_nb.files.parquet import pandas_index
from crucible_nb.utils import checks, optional

_SUFFIXES = (".parquet", ".pq")
_MISSING = "__HIVE_DEFAULT_PARTITION__"


class Opened(NamedTuple):
    """Units of a source.

    Attributes:
        units: The units.
        schema: Their columns.
        time: Column of times under another name than `time`; None if there is none.
        bad: Files left out, and why.
    """

    units: Sequence[Unit]
    schema: Schema
    time: str | None = None
    bad: Mapping[str, str] = Bad()


def open_source(source: Any, time: str | None, errors: str) -> Opened:
    """Find the units of a source.

    Args:
        source: A path, glob, folder, URL or a list of paths, of Parquet files; a DataFrame; a Table or Dataset of
            Arrow; a DataFrame of dask.
        time: Column of times; None for `time`, or the time index that pandas has written.
        errors: "raise", or "skip" to leave bad files out.

    Raises:
        StoreError: No file, a file that is no Parquet file, or a copy of another one.
        ConfigError: Another kind of source.
    """
    if isinstance(source, (str, os.PathLike)):
        return _of_paths([source], time, errors)
    if isinstance(source, (list, tuple)) and source and all(isinstance(one, (str, os.PathLike)) for one in source):
        return _of_paths(source, time, errors)
    if isinstance(source, pd.DataFrame):
        return _of_frame(source)
    if isinstance(source, pa.Table):
        return _of_table(source)
    if hasattr(type(source), "map_partitions") and hasattr(type(source), "npartitions"):
        return _of_dask(source)
    if hasattr(type(source), "get_fragments"):
        return _of_arrow(source, time, errors)
    raise checks.wrong(
        "source",
        source,
        "a path, glob, folder or URL of Parquet files, a list of them, an experiment, a DataFrame, a pyarrow Table or "
        "Dataset, or a dask DataFrame",
    )


# -- files -------------------------------------------------------------------------------------------------------------


def _of_paths(sources: Iterable[Any], time: str | None, errors: str) -> Opened:
    files, filesystem = list[File](), None
    for source in sources:
        if isinstance(source, str) and re.match(r"[a-z][a-z0-9+.-]+://", source):
            filesystem, found = _remote(source)
        else:
            found = _local(source)
        if not found:
            raise StoreError(f"cannot read {str(source)!r}: no such file, or a folder without .parquet files")
        files += found
    return of_files(_with_keys(files), filesystem, time, errors)


def of_files(files: Sequence[File], filesystem: Any, time: str | None, errors: str) -> Opened:
    """Plan the units of Parquet files."""
    footers, bad = read_footers(files, filesystem, errors)
    if time is None:
        named = (None if "time" in footer.schema.names else pandas_index(footer.schema) for footer in footers)
        time = next((name for name in named if name is not None), None)
    units, schema = plan(footers, filesystem, time or "time")
    if not units and bad:
        raise StoreError(next(iter(bad.values())))
    return Opened(units, schema, time, bad)


def _local(source: Any) -> list[File]:
    path = as_path(source)
    if path.is_dir():
        found = [one for one in sorted(path.rglob("*")) if one.suffix in _SUFFIXES and _is_visible(one, path)]
    elif path.exists():
        found = [path]
    else:
        found = [Path(one) for one in sorted(glob.glob(str(path), recursive=True)) if Path(one).is_file()]  # noqa: PTH207  absolute patterns
    return [File(str(one), str(one), _keys(str(one), str(path))) for one in found]


def _keys(file: str, source: str) -> dict[str, str]:
    """Return what the names of folders below a source say, `model=a/`; a glob begins at its first wildcard."""
    plain = re.split(r"[*?\[]", source, maxsplit=1)[0]
    base = plain if plain == source else plain[: max(plain.rfind("/"), plain.rfind("\\")) + 1]
    return dict(re.findall(r"([^/\\=]+)=([^/\\]*)[/\\]", file.removeprefix(base)))


def _is_visible(file: Path, folder: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def _remote(url: str) -> tuple[Any, list[File]]:
    """Find files of a filesystem of fsspec, which reads the ranges it is asked for and no more."""
    from pyarrow.fs import FSSpecHandler, PyFileSystem  # noqa: PLC0415  for URLs only

    fsspec: Any = optional.need("fsspec", "s3", f"open_dataset({url!r})")
    remote, path = fsspec.core.url_to_fs(url, default_cache_type="none")
    if glob.has_magic(path):
        found = sorted(remote.glob(path))
    elif remote.isdir(path):
        found = [one for one in sorted(remote.find(path)) if one.endswith(_SUFFIXES)]
    else:
        found = [path] if remote.exists(path) else []
    scheme = url.partition("://")[0]
    return PyFileSystem(FSSpecHandler(remote)), [
        File(f"{scheme}://{one.lstrip('/')}", one, _keys(one, path)) for one in found
    ]


def _with_keys(files: Sequence[File]) -> list[File]:
    """Convert what names of folders say: to whole numbers if all values of a column are."""
    keys = [dict(file.keys) for file in files]
    whole = {
        name
        for name in {name for one in keys for name in one}
        if all(re.fullmatch(r"-?\d{1,18}", one[name]) for one in keys if one.get(name, _MISSING) != _MISSING)
    }

    def value(name: str, text: str) -> Any:
        if text == _MISSING:
            return None
        return int(text) if name in whole else unquote(text)

    return [
        File(file.name, file.path, {name: value(name, text) for name, text in one.items()})
        for file, one in zip(files, keys, strict=True)
    ]


# -- tables ------------------------------------------------------------------------------------------------------------


def _of_frame(frame: pd.DataFrame) -> Opened:
    schema = Schema()
    schema.see("the frame", schema_of(frame))
    units = list[Unit]()
    for start in range(0, max(len(frame), 1), UNIT):
        rows = frame.iloc[start : start + UNIT]
        units.append(FrameUnit(f"rows {start:,} to {start + len(rows):,}", rows, span_of(rows)))
    return Opened(units, schema)


def schema_of(frame: pd.DataFrame) -> Iterator[pa.Field]:
    """Yield the columns of a frame with their types; the type of a column of objects is that of its values, or null.

    Examples:
        >>> [str(field) for field in schema_of(pd.DataFrame({"n": [1], "kind": pd.Categorical(["a"])}))]
        ['pyarrow.Field<n: int64>', 'pyarrow.Field<kind: string>']
    """
    names: list[Any] = list(frame.columns)
    for name in names:
        column = frame[name]
        if not isinstance(name, str) or column.ndim > 1:
            continue
        values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column.iloc[:1000]
        try:
            kind = pa.array(values, from_pandas=True).type
        except (pa.ArrowException, TypeError, ValueError):
            kind = pa.null()
        yield pa.field(name, pa.string() if pa.types.is_large_string(kind) else kind)


def span_of(frame: pd.DataFrame) -> Span | None:
    """Return first and last time of rows that all have one, else None."""
    times = times_of(frame)
    if times is None or not len(frame) or not times.known.all():
        return None
    return int(times.ns.min()), int(times.ns.max())


def _of_table(table: pa.Table) -> Opened:
    schema = Schema()
    schema.see("the table", table.schema)
    units = []
    for start in range(0, max(table.num_rows, 1), UNIT):
        part = table.slice(start, UNIT)
        name = f"rows {start:,} to {start + part.num_rows:,}"
        units.append(ComputedUnit(name, partial(_batches, part), part.num_rows))
    return Opened(units, schema)


def _batches(table: pa.Table, columns: Sequence[str] | None) -> Iterator[Any]:
    names = table.column_names if columns is None else [name for name in table.column_names if name in columns]
    yield from table.select(names).to_batches(max_chunksize=ROWS)


def _of_arrow(dataset: Any, time: str | None, errors: str) -> Opened:
    """Take the files of a dataset of Parquet files; read other fragments as Arrow does."""
    from pyarrow.dataset import ParquetFileFormat, get_partition_keys  # noqa: PLC0415  heavy; for such sources only
    from pyarrow.fs import LocalFileSystem  # noqa: PLC0415

    fragments = list(dataset.get_fragments())
    if isinstance(getattr(dataset, "format", None), ParquetFileFormat):
        local = isinstance(dataset.filesystem, LocalFileSystem)
        files = [File(one.path, one.path, get_partition_keys(one.partition_expression)) for one in fragments]
        return of_files(files, None if local else dataset.filesystem, time, errors)
    schema = Schema()
    schema.see("the dataset", dataset.schema)
    units = []
    for number, fragment in enumerate(fragments):
        name = str(getattr(fragment, "path", "")) or f"fragment {number}"
        units.append(ComputedUnit(name, partial(_fragment, fragment, dataset.schema)))
    return Opened(units, schema, time)


def _fragment(fragment: Any, schema: pa.Schema, columns: Sequence[str] | None) -> Iterator[Any]:
    names = schema.names if columns is None else [name for name in schema.names if name in columns]
    yield from fragment.to_batches(schema=schema, columns=names, batch_size=ROWS, use_threads=False)


def _of_dask(parts: Any) -> Opened:
    schema = Schema()
    schema.see("the dask frame", schema_of(parts._meta_nonempty))
    count = int(parts.npartitions)
    units = [ComputedUnit(f"partition {i}", partial(_partition, parts, i)) for i in range(count)]
    return Opened(units, schema)


def _partition(parts: Any, number: int, columns: Sequence[str] | None) -> pd.DataFrame:
    if columns is not None:
        parts = parts[[name for name in parts.columns if name in columns]]
    rows: pd.DataFrame = parts.get_partition(number).compute(scheduler="synchronous")
    return rows
