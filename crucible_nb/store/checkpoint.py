"""Checkpoints: the state of a writer as JSON with exact arrays, and the rows of a running sample; no pickle."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import MAX_BYTES, reading
from crucible_nb.store.lines import decode_exact, encode_exact
from crucible_nb.store.segment import frame_bytes, read_frame
from crucible_nb.store.syscalls import write_whole

STATE = "state.json"
SAMPLE = "sample.parquet"
_ARRAYS = frozenset({"<f8", "<i8", "<i4", "<i2", "|i1", "|u1", "|b1"})
_LONG = 16  # items from which a list is stored as an array


def pack_state(value: Any) -> Any:
    """Return a state for JSON without loss: {"": [kind, ...]} for arrays, long lists, and values such as NaN.

    Examples:
        >>> pack_state({"a": np.zeros(2)})
        {'a': {'': ['array', '<f8', [2], 'AAAAAAAAAAAAAAAAAAAAAA==']}}
    """
    if isinstance(value, dict):
        return {str(key): pack_state(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return {"": ["array", *_array(value)]}
    if isinstance(value, (list, tuple)):
        if len(value) > _LONG and (kinds := set(map(type, value))) in ({float}, {int}):
            array = np.array(value, np.float64 if kinds == {float} else np.int64)
            return {"": ["list", *_array(array)]}
        return [pack_state(item) for item in value]
    return encode_exact(value.item() if isinstance(value, np.generic) else value)


def _array(array: np.ndarray) -> list[Any]:
    array = np.ascontiguousarray(array)
    if array.dtype.str not in _ARRAYS:
        raise TypeError(array.dtype)
    return [array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode()]


def unpack_state(cell: Any) -> Any:
    """Return the state encoded by `pack_state`; ValueError if it is invalid."""
    if isinstance(cell, list):
        return [unpack_state(item) for item in cell]
    if not isinstance(cell, dict):
        return cell
    inner = cell.get("")
    if len(cell) != 1 or not isinstance(inner, list):
        return {key: unpack_state(item) for key, item in cell.items()}
    if inner[0] not in ("array", "list"):
        return decode_exact(cell)
    _, dtype, shape, text = inner
    if dtype not in _ARRAYS:
        raise ValueError(f"an array of {dtype!r}")
    array = np.frombuffer(base64.b64decode(text, validate=True), dtype).reshape(shape).copy()
    return array.tolist() if inner[0] == "list" else array


def write_checkpoint(path: Path, state: dict[str, Any], sample: pd.DataFrame | None) -> None:
    """Write a state as a complete and synced file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as whole:
        whole.writestr(STATE, orjson.dumps(pack_state(state)))
        if sample is not None:
            whole.writestr(zipfile.ZipInfo(SAMPLE), frame_bytes(sample, {}))
    write_whole(path, stream.getvalue())


def read_checkpoint(path: Path) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """Return a state and the rows of its running sample, None without one.

    Raises:
        StoreError: The file is corrupt.
    """
    with reading(path):
        with zipfile.ZipFile(path) as whole:
            infos = {info.filename: info for info in whole.infolist()}
            if not {STATE} <= set(infos) <= {STATE, SAMPLE}:
                raise ValueError(f"expected {STATE!r} in it, got {sorted(infos)}")
            if sum(info.file_size for info in infos.values()) > MAX_BYTES:
                raise ValueError("its content is too large")
            state = unpack_state(orjson.loads(whole.read(STATE)))
            sample = whole.read(SAMPLE) if SAMPLE in infos else None
        if not isinstance(state, dict):
            raise StoreError(f"cannot read {str(path)!r}: it holds no mapping")
        return state, None if sample is None else read_frame(sample, path)[0]
