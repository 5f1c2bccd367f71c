"""Laws of files: out and in again is the same frame; a damaged file is a StoreError or a frame, never worse."""

from __future__ import annotations

import pathlib
import random
import tempfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucible_nb.errors import StoreError
from crucible_nb.files import archive, iter_table, load, write_table
from tests.tiers import examples, scaled

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8) | st.sampled_from(
    [
        "",
        "NA",
        "None",
        "null",
        "nan",
        "1.0",
        "true",
        "=1",
        "'=1",
        "''",
        '"',
        '""',
        ",",
        "\r\n",
        "\r",
        "\n",
        "\t",
        "@",
        "-0",
    ]
)
FLOATS = st.floats(width=64, allow_nan=True, allow_infinity=True)
INT64 = st.integers(-(2**63), 2**63 - 1)
KINDS = {
    "str": lambda rows: _list(TEXT | st.none(), rows).map(lambda x: pd.array(x, dtype="str")),
    "category": lambda rows: _list(TEXT | st.none(), rows).flatmap(_categories),
    "float": lambda rows: _list(FLOATS, rows).map(lambda x: np.array(x, dtype="float64")),
    "Int64": lambda rows: _list(INT64 | st.none(), rows).map(lambda x: pd.array(x, dtype="Int64")),
    "boolean": lambda rows: _list(st.booleans() | st.none(), rows).map(lambda x: pd.array(x, dtype="boolean")),
    "bool": lambda rows: _list(st.booleans(), rows).map(lambda x: np.array(x, dtype="bool")),
    "int64": lambda rows: _list(INT64, rows).map(lambda x: np.array(x, dtype="int64")),
}


def _list(items, rows):
    return st.lists(items, min_size=rows, max_size=rows)


def _categories(values):
    labels = list(dict.fromkeys([value for value in values if value is not None] + ["never used"]))
    return st.permutations(labels).map(lambda order: pd.Categorical(values, categories=pd.Index(order, dtype="str")))


@st.composite
def frames(draw):
    rows = draw(st.integers(0, 6))
    names = draw(st.lists(TEXT.filter(lambda name: name not in ("", "time")), min_size=1, max_size=4, unique=True))
    data = {name: draw(st.sampled_from(sorted(KINDS)).flatmap(lambda kind: KINDS[kind](rows))) for name in names}
    times = st.integers(-(2**62), 2**62)
    index = pd.DatetimeIndex(np.array(draw(_list(times, rows)), dtype="int64"), tz="UTC", name="time")
    index = draw(st.sampled_from([index, pd.RangeIndex(rows)]))
    return pd.DataFrame(data, index=index, columns=pd.Index(names, dtype="str"))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "zip"])
@examples(60)
@given(frame=frames(), escape=st.booleans(), chunk=st.integers(1, 7))
def test_out_and_in_again_is_the_same_frame(suffix, frame, escape, chunk):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/run.{suffix}"
        archive(frame, path) if suffix == "zip" else write_table(frame, path, escape_formulas=escape)
        back = load(path)
        pieces = list(iter_table(path, chunk_rows=chunk))
    pd.testing.assert_frame_equal(back, frame, check_exact=True)
    for name in frame.select_dtypes("float64"):
        bits = [np.where(f[name].isna(), 0, f[name].to_numpy().view("int64")) for f in (back, frame)]
        np.testing.assert_array_equal(*bits)
    if pieces:
        whole = pd.concat(pieces, ignore_index=isinstance(frame.index, pd.RangeIndex))
        pd.testing.assert_frame_equal(whole, frame, check_exact=True)


def _damaged(content: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, cut out, doubled or the end cut off."""
    data = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        place, width = dice.randrange(len(data)), dice.randint(1, 16)
        match dice.randrange(5):
            case 0:
                data[place] = dice.randrange(256)
            case 1:
                data[place] ^= 1 << dice.randrange(8)
            case 2:
                del data[place : place + width]
            case 3:
                data[place:place] = data[place : place + width]
            case 4:
                data[place : place + width] = dice.randbytes(width)
        if not data:
            return b""
    return bytes(data[: dice.randrange(len(data))] if dice.random() < 0.1 else data)


def outcome(path):
    """What reading ends with: the one sentence of a StoreError, or the rows; any other exception passes."""
    try:
        whole = load(path)
        assert len(whole) == sum(map(len, iter_table(path, chunk_rows=20)))
    except StoreError as error:
        return str(error)
    return f"{len(whole)} rows"


@pytest.mark.filterwarnings("ignore:.*values that do not fit:crucible_nb.errors.CrucibleWarning")
@pytest.mark.parametrize("name", ["run.parquet", "run.csv", "run.csv.json", "run.jsonl", "run.zip", "foreign.csv"])
def test_a_damaged_file_is_refused_or_read_but_nothing_else(name, tmp_path):
    rng, dice = np.random.default_rng(7), random.Random(7)
    frame = pd.DataFrame(
        {
            "model": pd.Categorical(rng.choice(["a", "b", "=c"], 50)),
            "latency_ms": rng.lognormal(size=50),
            "prompt_tokens": pd.array(rng.integers(0, 99, 50), dtype="Int64"),
            "error": pd.array(["x,\n'y'", None] * 25, dtype="str"),
            "seq": np.arange(50),
        },
        index=pd.DatetimeIndex(rng.integers(0, 2**60, 50), tz="UTC", name="time"),
    )
    path = pathlib.Path(tmp_path, name.removesuffix(".json"))
    if name == "run.zip":
        archive(frame, path, {"name": "demo"})
    else:
        write_table(frame, path, facts={"name": "demo"}, format=None)
    if name == "foreign.csv":
        pathlib.Path(tmp_path, "foreign.csv.json").unlink()
    victim = tmp_path / name
    whole, refused = victim.read_bytes(), 0
    for _ in range(scaled(300)):
        victim.write_bytes(_damaged(whole, dice))
        refused += outcome(path).startswith(f"cannot read {str(path)!r}: ")
    assert refused > scaled(30)
