"""An experiment in one zip: its events as Parquet, its facts as readable JSON."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import orjson
import pandas as pd
import pyarrow as pa

from crucible_nb.files import parquet
from crucible_nb.files.disk import too_large
from crucible_nb.files.layout import Layout
from crucible_nb.files.source import Source

EVENTS = "events.parquet"
FACTS = "facts.json"


def write(
    frame: pd.DataFrame,
    layout: Layout,
    header: bytes,
    facts: Mapping[str, Any],
    stream: BinaryIO,
    more: Mapping[str, Path] | None = None,
) -> None:
    """Write the zip, its members uncompressed, since Parquet is compressed already.

    Args:
        frame: The events.
        layout: Layout of the frame.
        header: Header of the Parquet file.
        facts: Facts of the experiment.
        stream: Binary stream to write to.
        more: Further files, by their names in the zip.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as packed:
        with packed.open(EVENTS, "w", force_zip64=True) as member:
            parquet.write(frame, layout, header, member)  # type: ignore[arg-type]
        packed.writestr(FACTS, orjson.dumps(dict(facts), option=orjson.OPT_INDENT_2))
        for name, path in (more or {}).items():
            packed.write(path, name)


def source(path: Path, max_bytes: int) -> Source:
    """Open the events of an archive, without unpacking to disk; unsafe member names are refused."""
    with zipfile.ZipFile(path) as packed:
        _check_names(packed.namelist())
        info = packed.getinfo(EVENTS)
        if info.file_size > max_bytes:
            raise ValueError(too_large(max_bytes))
        with packed.open(info) as member:
            content = member.read(max_bytes + 1)
    return parquet.source(pa.py_buffer(content), max_bytes)


def _check_names(names: list[str]) -> None:
    for name in names:
        if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name or ":" in name:
            raise ValueError(f"the member {name!r} points outside the archive")
    if names.count(EVENTS) != 1:
        raise ValueError(f"it is not a crucible archive: expected one {EVENTS!r} in it")
