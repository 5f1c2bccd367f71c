"""Frames and folders for the file tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

FORMATS = ("parquet", "csv", "jsonl")


@pytest.fixture(params=FORMATS)
def suffix(request):
    return request.param


@pytest.fixture
def events():
    """A frame of every kind, with whatever a format could lose."""
    texts = ["", None, "NA", "None", "1.0", "true", 'a,"b"\r\nc', "é 漢 😀", "=1+1", "'quoted", "-1", "\tx", "null"]
    rows = len(texts)
    whole = [2**53 + 1, None, -(2**63), 2**63 - 1, *range(rows - 4)]
    frame = pd.DataFrame(
        {
            "model": pd.Categorical(["b", None, "a", "=c"] * 3 + [""], categories=["b", "a", "=c", "never", ""]),
            "error": pd.array(texts, dtype="str"),
            "latency_ms": [
                0.1,
                np.nan,
                np.inf,
                -np.inf,
                -0.0,
                5e-324,
                1 / 3,
                1e22,
                1e300,
                123456789.123,
                1.0,
                2.0,
                3.0,
            ],
            "prompt_tokens": pd.array(whole, dtype="Int64"),
            "success": pd.array([True, False, None] * 4 + [True], dtype="boolean"),
            "anomaly": [True, False] * 6 + [True],
            "seq": np.arange(rows) + 2**60,
            "train/loss": np.arange(rows) / 7,
            "=cmd|'/c calc'!A0": np.arange(rows),
            '\'name, "odd"\n': np.arange(rows),
            "empty": pd.Categorical([None] * rows),
            "metadata": pd.array(['{"a": [1, "x"]}'] * rows, dtype="str"),
        }
    )
    stamps = [1_700_000_000_123_456_789, 1_700_000_000_123_456_789, -1, *range(rows - 3)]
    return frame.set_axis(pd.DatetimeIndex(stamps, tz="UTC", name="time"), axis=0)
