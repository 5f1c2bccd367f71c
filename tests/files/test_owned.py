"""Frames that were read are writable, from any number of chunks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from crucible_nb.files.columns import to_pandas
from crucible_nb.files.layout import Column


@pytest.mark.parametrize("kind", ["float", "count", "flag"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_frame_that_was_read_is_writable(kind: str, pieces: int) -> None:
    one = pa.array({"float": [1.0, 2.0], "count": [1, 2], "flag": [True, False]}[kind])
    source = pa.chunked_array([one] * pieces)
    array = to_pandas(source, Column("x", kind))
    array[0] = array[1]
    assert array.dtype == {"float": np.float64, "count": np.int64, "flag": np.bool_}[kind]
    assert source.to_pylist() == one.to_pylist() * pieces  # and Arrow's own is as it was
