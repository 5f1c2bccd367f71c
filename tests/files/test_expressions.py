"""The expression language agrees with pandas and accepts nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from crucible_nb.errors import ConfigError, SchemaError
from crucible_nb.files.expressions import parse

ACCEPTED = (
    "column names, numbers, text, null, + - * / **, comparisons, in, is null, and, or, not, if else and parentheses"
)


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "a": [1.0, 2.0, None],
            "n": pd.array([1, None, 3], dtype="Int64"),
            "m": pd.Categorical(["x", "y", None]),
            "ok": pd.array([True, False, None], dtype="boolean"),
            "a b/c": [1, 2, 3],
            "seconds*2": [7, 8, 9],
        },
        index=pd.DatetimeIndex(["2025-01-01", "2025-01-02", "2025-01-03"], tz="UTC", name="time"),
    )


@pytest.mark.parametrize(
    "text",
    ["a * 1000", "-a + 2 ** 3", "(a - 1) / `a b/c`", "n / 2", "+n", "1 < a <= 2", "a != 2", "n > 1", "m == 'x' and a < 5",
     "not (m == 'x') or n == 3", "m in ['x', 'z']", "a not in (1, 2)", "not ok", "ok or a == 2"],
)  # fmt: skip
def test_it_agrees_with_pandas(frame, text):
    theirs = frame.astype({"m": "str"}).eval(text, engine="python")
    pd.testing.assert_series_equal(parse(text, "where")(frame), theirs, check_names=False)


def test_names(frame):
    assert parse("seconds*2", "map")(frame).tolist() == [7, 8, 9]
    assert parse("`a b/c`", "map")(frame).tolist() == [1, 2, 3]
    assert parse("m == '`x`'", "where")(frame).tolist() == [False] * 3
    assert parse("time >= '2025-01-02'", "where")(frame).tolist() == [False, True, True]


def test_scalars(frame):
    assert parse("1 + 2 * 3", "map")(frame) == 7
    assert parse("not (1 > 2)", "where")(frame) is True
    assert parse("2 in [1, 2]", "where")(frame) is True


@pytest.mark.parametrize(
    "text",
    ["f(a)", "a.b()", "a[0:1]", "lambda: 1", "[x for x in a]", "f'{a}'", "a // 2", "a % 2", "a & 1", "~a",
     "b'x'", "1j", "...", "{1: 2}", "(a := 1)", "a; b", "a = 1", "*a", "", "  ", "(", "`a", "a b",
     "'" * 3, "1" * 5_000, "(" * 500 + "1" + ")" * 500, "\0", "__import__('os').system('x')", "a @ a", "yield"],
)  # fmt: skip
def test_nothing_else_is_accepted(text):
    with pytest.raises(ConfigError) as caught:
        parse(text, "where")
    assert str(caught.value).startswith("where=")
    assert str(caught.value).endswith(ACCEPTED)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m * 2", "expected numbers for arithmetic, got column 'm' of str"),
        ("'a' * 1000000000", "expected numbers for arithmetic, got 'a'"),
        ("-m", "expected numbers for arithmetic, got column 'm' of str"),
        ("[1] + a", "expected numbers for arithmetic, got [1]"),
        ("a and ok", "expected conditions for and, or and not, got column 'a' of float64"),
        ("not a", "expected conditions for and, or and not, got column 'a' of float64"),
        ("a in 3", "expected a list of numbers or text after in, such as ['a', 'b']"),
        ("a in [a]", "expected a list of numbers or text after in, such as ['a', 'b']"),
        ("1 / 0", "division by zero"),
    ],
)
def test_types_that_do_not_go_together(frame, text, said):
    with pytest.raises(ConfigError) as caught:
        parse(text, "map")(frame)
    assert str(caught.value) == f"map={text!r}: {said}"


@pytest.mark.parametrize("text", ["a > 'x'", "9 ** 9 ** 9 ** 9", "n * 9999999999999999999999"])
def test_failures_of_the_arithmetic_name_the_expression(frame, text):
    with pytest.raises(ConfigError) as caught:
        parse(text, "map")(frame)
    assert str(caught.value).startswith(f"map={text!r}: ")


def test_deep_but_short(frame):
    with pytest.raises(ConfigError):
        parse("+".join("1" * 1_900), "map")(frame)


def test_a_missing_column(frame):
    with pytest.raises(SchemaError) as caught:
        parse("latency * 2", "map")(frame)
    assert str(caught.value) == "map='latency': no such column; available: a, n, m, ok, a b/c, seconds*2"


def test_missing_values_are_found_with_is_none() -> None:
    frame = pd.DataFrame({"code": pd.array([429, None], "Int64"), "text": ["a", None], "x": [1.0, None]})
    for column in frame:
        assert parse(f"{column} is None", "where")(frame).tolist() == [False, True]
        assert parse(f"{column} is not None", "where")(frame).tolist() == [True, False]
    with pytest.raises(ConfigError) as error:
        parse("x is 3", "where")(frame)
    assert str(error.value) == "where='x is 3': expected None after is"


def test_fields_of_nested_values_are_paths() -> None:
    texts = ['{"prompt_tokens": 5, "by": {"a b": "x"}, "list": [1, 2.5]}', None, '{"prompt_tokens": null}', "free text"]
    frame = pd.DataFrame({"usage": texts, "usage.flat": [1, 2, 3, 4]})
    assert parse("usage.prompt_tokens * 2", "map")(frame).tolist() == [10, pd.NA, pd.NA, pd.NA]
    assert parse("usage.list[1]", "map")(frame).tolist()[0] == 2.5
    assert parse("usage.by['a b'] == 'x'", "where")(frame).tolist()[0]
    assert parse("usage.by", "map")(frame).tolist()[0] == '{"a b":"x"}'
    assert parse("usage.flat", "map")(frame).tolist() == [1, 2, 3, 4]
    assert parse("usage.prompt_tokens is null", "where")(frame).tolist() == [False, True, True, True]
    for text in ("usage.nothing", "usage.flat.deeper", "nothing.at.all"):
        with pytest.raises(SchemaError, match=f"^map='{text}': no such column"):
            parse(text, "map")(frame)


def test_null_is_a_missing_value() -> None:
    frame = pd.DataFrame({"status": ["SUCCEED", "PENDING", "FAILED", None], "n": [1, 2, 3, 4]})
    success = parse("null if status == 'PENDING' or status is null else status == 'SUCCEED'", "map")(frame)
    assert success.tolist() == [True, pd.NA, False, pd.NA]
    assert parse("status == null", "where")(frame).tolist() == [False, False, False, True]
    assert parse("status != null", "where")(frame).tolist() == [True, True, True, False]
    assert parse("n * 2 if n > 2 else 0.5", "map")(frame).tolist() == [0.5, 0.5, 6, 8]
    assert parse("'big' if n > 2 else 'small'", "map")(frame).tolist() == ["small", "small", "big", "big"]
    frame["null"] = 7
    assert parse("null", "map")(frame).tolist() == [7] * 4
    with pytest.raises(ConfigError, match="expected conditions"):
        parse("1 if n else 2", "map")(frame)
