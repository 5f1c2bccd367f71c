"""Checks of the bytes of text columns, for a whole column at once instead of text by text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

_ZERO, _NINE, _MINUS, _PLUS = b"09-+"


def holds_any(texts: pa.Array | pa.ChunkedArray, marks: bytes) -> bool:
    """Return whether one of these bytes occurs in any text of a column of large strings.

    Examples:
        >>> holds_any(pa.array(["1.5", None], pa.large_string()), b".e")
        True
    """
    for _, data in _parts(texts):
        text = data.tobytes()
        if any(mark in text for mark in marks):
            return True
    return False


def holds_words_or_blanks(texts: pa.Array | pa.ChunkedArray) -> bool:
    """Return whether a column of large strings has bytes that no number is written with: n, N, blanks, beyond ASCII.

    Each word for a missing value has one of them, or is empty; an empty text counts too.
    """
    for sizes, data in _parts(texts):
        if (sizes == 0).any() or (data <= 32).any() or (data >= 127).any() or _has_n(data):  # blank, DEL
            return True
    return False


def _has_n(data: np.ndarray) -> bool:
    text = data.tobytes()
    return b"n" in text or b"N" in text


def has_leading_zeros(numbers: pa.Array | pa.ChunkedArray) -> bool:
    """Return whether a text of a column of numbers begins, after its sign, with a zero and another digit.

    Examples:
        >>> has_leading_zeros(pa.array(["0.5", "-07"], pa.large_string()))
        True
        >>> has_leading_zeros(pa.array(["0.5", "0", None, "-70"], pa.large_string()))
        False
    """
    for sizes, data in _parts(numbers):
        if not len(sizes):
            continue
        starts = np.cumsum(sizes) - sizes
        padded = np.concatenate([data, np.zeros(2, np.uint8)])
        first = padded[starts]
        at = starts + ((first == _MINUS) | (first == _PLUS))
        zero, after = padded[at] == _ZERO, padded[at + 1]
        if (zero & (after >= _ZERO) & (after <= _NINE) & (sizes > at + 1 - starts)).any():
            return True
    return False


def _parts(texts: pa.Array | pa.ChunkedArray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the length of each known text, and the bytes of these texts, of each chunk."""
    for chunk in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        known = chunk.drop_null() if chunk.null_count else chunk
        _, offsets, data = known.buffers()
        if not len(known):
            continue
        at = np.frombuffer(offsets, np.int64, len(known) + 1, known.offset * 8)
        first, last = int(at[0]), int(at[-1])
        size = last - first
        yield np.diff(at), np.frombuffer(data, np.uint8, size, first) if size else np.empty(0, np.uint8)
