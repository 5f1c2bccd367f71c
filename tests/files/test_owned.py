"""What was read is the caller's to write into, however many pieces it came in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from crucible_nb.files.columns import to_pandas
from crucible_nb.files.layout import Column


@pytest.mark.parametrize("kind", ["float", "count", "flag"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_what_was_read_can_be_written_into(kind: str, pieces: int) -> None:
    one = pa.array({"float": [1.0, 2.0], "count": [1, 2], "flag": [True, False]}[kind])
    source = pa.chunked_array([one] * pieces)
    array = to_pandas(source, Column("x", kind))
    array[0] = array[1]
    assert array.dtype == {"float": np.float64, "count": np.int64, "flag": np.bool_}[kind]
    assert source.to_pylist() == one.to_pylist() * pieces  # and Arrow's own is as it was
