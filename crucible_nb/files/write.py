"""Write frames into files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pandas as pd

from crucible_nb.errors import SchemaError, StoreError
from crucible_nb.files import csv, jsonl, parquet, zipped
from crucible_nb.files.columns import MisfitError
from crucible_nb.files.disk import as_path, replacing, target_format
from crucible_nb.files.layout import KEY, Layout, describe, pack
from crucible_nb.files.side import side_path
from crucible_nb.utils import checks


def write_table(
    frame: pd.DataFrame,
    path: Any,
    format: str | None = None,
    *,
    facts: Mapping[str, Any] | None = None,
    escape_formulas: bool = True,
) -> Path:
    """Write a frame so that `load` returns it equal: dtypes, missing values, order, time zone, attrs.

    The file is written atomically, with the permissions of the umask; an existing one is replaced. An unnamed
    DatetimeIndex is read back as `time`, other number widths as float64, int64 or Int64.

    Args:
        frame: Rows with a DatetimeIndex or a plain RangeIndex; columns of text, category, numbers, booleans or
            datetimes, with unique names.
        path: The file; its suffix tells the format.
        format: "parquet", "csv" or "jsonl", for a path with another suffix.
        facts: Facts about the experiment that JSON can represent. They are stored in the file; for CSV and JSONL in
            the JSON file beside it (`run.csv.json`), which also says the dtypes.
        escape_formulas: Whether texts in a CSV that a spreadsheet would run as formulas get a leading apostrophe,
            which `load` removes.

    Returns:
        The path written.

    Raises:
        ConfigError: The path's suffix or `format` is unknown, or JSON cannot represent `facts`.
        SchemaError: The frame has an index, a column name or a value that could not be read back equal.
        StoreError: The folder does not exist, or writing fails.

    Examples:
        >>> import tempfile
        >>> import pandas as pd
        >>> from crucible_nb.files import load, write_table
        >>> calls = pd.DataFrame({"model": ["a", None]}, pd.DatetimeIndex(["2025-01-01", "2025-01-02"], tz="UTC"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_table(calls, f"{folder}/run.csv", facts={"name": "demo"})
        ...     back = load(path)
        >>> path.name, back.index.name, back["model"].isna().tolist()
        ('run.csv', 'time', [False, True])
    """
    target = as_path(path)
    wanted = target_format(target, format)
    layout = replace(describe(frame), escaped=wanted == "csv" and escape_formulas)
    header = pack(layout, facts)
    with _schema_errors():
        if wanted == "parquet":
            with replacing(target) as stream:
                parquet.write(frame, layout, header, stream)
        else:
            _write_text(csv.write if wanted == "csv" else jsonl.write, frame, layout, header, target)
    return target


def _write_text(
    write: Callable[[pd.DataFrame, Layout, BinaryIO], None],
    frame: pd.DataFrame,
    layout: Layout,
    header: bytes,
    target: Path,
) -> None:
    """Write a text file and its side file; a crash at any time leaves no file beside the side file of another."""
    side = side_path(target)
    if not target.parent.is_dir():
        raise StoreError(f"cannot write {str(target)!r}: no such folder {str(target.parent)!r}")
    with replacing(side) as beside, replacing(target) as stream:
        write(frame, layout, stream)
        beside.write(orjson.dumps({KEY: orjson.loads(header)}, option=orjson.OPT_INDENT_2))
        stream.flush()
        with suppress(FileNotFoundError):
            side.unlink()


def archive(
    frame: pd.DataFrame, path: Any, facts: Mapping[str, Any] | None = None, more: Mapping[str, Path] | None = None
) -> Path:
    """Write a frame and its experiment's facts into one zip, which `load` and `read_facts` read.

    Only its owner may read and write the file (mode 0600), as with the store that it comes from.

    Args:
        frame: As in `write_table`.
        path: The file; it ends in .zip.
        facts: Facts about the experiment that JSON can represent.
        more: Further files, by their names in the zip.

    Returns:
        The path written.

    Raises:
        ConfigError: The path does not end in .zip, or JSON cannot represent `facts`.
        SchemaError: The frame has an index, a column name or a value that could not be read back equal.
        StoreError: The folder does not exist, or writing fails.

    Examples:
        >>> import tempfile
        >>> import pandas as pd
        >>> from crucible_nb.files import archive, load, read_facts
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = archive(pd.DataFrame({"loss": [0.5]}), f"{folder}/run.zip", {"name": "demo"})
        ...     load(path)["loss"].tolist(), read_facts(path)
        ([0.5], {'name': 'demo'})
    """
    target = as_path(path)
    if target.suffix.lower() != ".zip":
        raise checks.wrong("path", str(target), "a name that ends in .zip")
    layout = describe(frame)
    header = pack(layout, facts)
    with _schema_errors(), replacing(target, 0o600) as stream:
        zipped.write(frame, layout, header, facts or {}, stream, more)
    return target


@contextmanager
def _schema_errors() -> Iterator[None]:
    """Convert a MisfitError to a SchemaError."""
    try:
        yield
    except MisfitError as error:
        raise SchemaError(str(error)) from error
