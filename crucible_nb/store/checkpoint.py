"""Checkpoints: the state of a writer as JSON with exact arrays, and the rows of a running sample; no pickle."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import orjson
import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import MAX_BYTES, reading
from crucible_nb.store.layout import foreign
from crucible_nb.store.lines import decode_exact, encode_exact
from crucible_nb.store.segment import frame_bytes, read_frame
from crucible_nb.store.syscalls import read_regular, write_whole

STATE = "state.json"
SAMPLE = "sample.parquet"
_MARK = b"crucible.crc32 "
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


def write_checkpoint(
    path: Path, state: dict[str, Any], sample: pd.DataFrame | None, place: Mapping[str, Any] | None = None
) -> None:
    """Write a state as a complete and synced file.

    Args:
        path: The checkpoint.
        state: The state.
        sample: Rows of the running sample, None without one.
        place: Experiment, writer and part, which are compared when it is read.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as whole:
        whole.writestr(STATE, orjson.dumps(pack_state(state)))
        if sample is not None:
            whole.writestr(zipfile.ZipInfo(SAMPLE), frame_bytes(sample, {}))
        whole.comment = orjson.dumps(place or {}) + _MARK + b"00000000"
    data = stream.getvalue()[:-8]
    write_whole(path, data + b"%08x" % crc32(data))


def _place(data: bytes) -> dict[str, Any]:
    """Check the CRC-32 at the end of a checkpoint; return the facts before it in the comment of the zip.

    Checkpoints of v0.1 have no comment.
    """
    if data[-22:-18] == b"PK\x05\x06" and data[-2:] == b"\0\0":
        return {}
    if data[-8 - len(_MARK) : -8] != _MARK or b"%08x" % crc32(data[:-8]) != data[-8:]:
        raise ValueError("its checksum is wrong")
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        place = orjson.loads(whole.comment[: -8 - len(_MARK)])
    return place if isinstance(place, dict) else {}


def read_checkpoint(path: Path, identity: str | None = None) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """Return a state and the rows of its running sample, None without one.

    Args:
        path: The checkpoint.
        identity: Id of the experiment that it has to belong to; None: that in the name of its folder.

    Raises:
        StoreError: The file is corrupt, or belongs to another experiment, writer or part.
    """
    with reading(path):
        data = read_regular(path)
        place = _place(data)
        with zipfile.ZipFile(io.BytesIO(data)) as whole:
            infos = {info.filename: info for info in whole.infolist()}
            if not {STATE} <= set(infos) <= {STATE, SAMPLE}:
                raise ValueError(f"expected {STATE!r} in it, got {sorted(infos)}")
            if sum(info.file_size for info in infos.values()) > MAX_BYTES:
                raise ValueError("its content is too large")
            state = unpack_state(orjson.loads(whole.read(STATE)))
            sample = whole.read(SAMPLE) if SAMPLE in infos else None
        if not isinstance(state, dict):
            raise StoreError(f"cannot read {str(path)!r}: it holds no mapping")
        if why := foreign(place, path, identity):
            raise StoreError(f"cannot read {str(path)!r}: {why}")
        return state, None if sample is None else read_frame(sample, path)[0]


def read_sample(path: Path) -> pd.DataFrame | None:
    """Return the rows of the running sample in a damaged checkpoint, None if there are none that can be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(read_regular(path))) as whole:
            if whole.getinfo(SAMPLE).file_size > MAX_BYTES:
                return None
            return read_frame(whole.read(SAMPLE), path)[0]
    except Exception:  # noqa: BLE001  damaged bytes may raise anything
        return None
