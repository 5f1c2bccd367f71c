"""CSV: formulas, missing and empty text, the file beside it."""

from __future__ import annotations

import csv
import json
import time

import pandas as pd
import pytest

from crucible_nb.errors import StoreError
from crucible_nb.files import load, read_facts, write_table

DANGEROUS = ["=1", "+1", "-1", "@x", "\tx", "\rx", "'x", "''", "'"]


def cells(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_formulas_get_an_apostrophe_and_lose_it_again(tmp_path):
    frame = pd.DataFrame({"=head": DANGEROUS, "note": pd.Categorical(DANGEROUS), "n": range(-4, 5)})
    path = write_table(frame, tmp_path / "run.csv")
    header, *rows = cells(path)
    assert header == ["'=head", "note", "n"]
    assert [row[:2] for row in rows] == [[f"'{text}"] * 2 for text in DANGEROUS]
    assert rows[0][2] == "-4"
    pd.testing.assert_frame_equal(load(path), frame)


def test_harmless_text_is_left_alone(tmp_path):
    texts = ["a=1", " =1", "x'y", "", "1", "#"]
    path = write_table(pd.DataFrame({"text": texts}), tmp_path / "run.csv")
    assert [row[0] for row in cells(path)[1:]] == texts


def test_escaping_can_be_switched_off(tmp_path):
    frame = pd.DataFrame({"=head": DANGEROUS})
    path = write_table(frame, tmp_path / "run.csv", escape_formulas=False)
    assert [row[0] for row in cells(path)] == ["=head", *DANGEROUS]
    pd.testing.assert_frame_equal(load(path), frame)


def test_without_its_side_file_it_loads_by_inference(events, tmp_path):
    path = write_table(events.iloc[:3], tmp_path / "run.csv")
    (tmp_path / "run.csv.json").unlink()
    back = load(path)
    assert list(back.columns) == list(events.columns)
    assert back.index.equals(events.index[:3])
    assert back["model"].tolist()[0] == "b"
    assert back["prompt_tokens"].tolist()[0] == 2**53 + 1
    assert back.dtypes[["model", "prompt_tokens", "success", "seq"]].astype(str).tolist() == [
        "category",
        "Int64",
        "boolean",
        "int64",
    ]
    assert read_facts(path) == {}


def test_the_side_file_is_plain_json(tmp_path):
    write_table(pd.DataFrame({"n": [1]}), tmp_path / "run.csv", facts={"name": "demo"})
    beside = json.loads((tmp_path / "run.csv.json").read_text(encoding="utf-8"))
    assert beside["crucible"]["facts"] == {"name": "demo"}
    assert beside["crucible"]["schema"]["columns"][0]["name"] == "n"


def test_an_edited_file_is_noticed(tmp_path):
    path = write_table(pd.DataFrame({"n": [1, 2]}), tmp_path / "run.csv")
    path.write_text('"n"\n1\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"it has 1 rows but its header says 2: cut short or edited$"):
        load(path)
    path.write_text('"m"\n1\n2\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"its columns are not those listed in 'run.csv.json'$"):
        load(path)


def test_a_side_file_that_is_not_ours(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("n\n1\n", encoding="utf-8")
    beside = tmp_path / "run.csv.json"
    beside.write_text('{"other": 1}', encoding="utf-8")
    assert load(path)["n"].tolist() == [1]
    beside.write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"the file beside it, 'run.csv.json', is not JSON"):
        load(path)


@pytest.mark.parametrize(
    ("texts", "dtype", "values"),
    [
        (["1", "-2"], "int64", [1, -2]),
        (["1", ""], "Int64", [1, pd.NA]),
        (["1", "NA"], "Int64", [1, pd.NA]),
        (["1", "2.5"], "float64", [1.0, 2.5]),
        (["1e3", " -.5"], "float64", [1000.0, -0.5]),
        (["true", "False"], "bool", [True, False]),
        (["true", ""], "boolean", [True, pd.NA]),
        (["007", "1"], "str", ["007", "1"]),
        (["99999999999999999999", "1"], "str", ["99999999999999999999", "1"]),
        (["9223372036854775808", "1"], "str", ["9223372036854775808", "1"]),
        (["NA", "x"], "str", ["NA", "x"]),
        (["NA", "None"], "str", ["NA", "None"]),
        (["0x1F", "1"], "str", ["0x1F", "1"]),
    ],
)
def test_foreign_columns_take_the_kind_of_all_their_values(texts, dtype, values, tmp_path):
    path = tmp_path / "foreign.csv"
    path.write_text("x,pad\n" + "".join(f"{text},\n" for text in texts), encoding="utf-8")
    column = load(path)["x"]
    assert column.dtype == dtype
    assert [str(value) for value in column] == [str(value) for value in values]


def test_a_column_without_any_value_is_a_number(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n,1\n", encoding="utf-8")
    assert load(tmp_path / "a.csv")["x"].dtype == "float64"


def test_a_header_of_any_length_is_read_or_refused_at_once(tmp_path):
    path = tmp_path / "wide.csv"
    for columns, wanted in (
        (4_000, None),
        (16_385, "more than 16,384 columns"),
        (2_000_000, "more than 16,384 columns"),
    ):
        path.write_text(",".join(f"c{i}" for i in range(columns)) + "\n" + "1," * (columns - 1) + "1\n")
        begun = time.process_time()
        if wanted is None:
            assert load(path).shape == (1, columns)
        else:
            with pytest.raises(StoreError, match=wanted):
                load(path)
        assert time.process_time() - begun < 10
    quoted = ",".join(['"a,b\nc"', *(f"c{i}" for i in range(9))])
    path.write_text(quoted + "\n" + "1,2,3,4,5,6,7,8,9,10\n" * 5_000)  # commas in quotes and in rows do not count
    assert load(path).shape == (5_000, 10)
