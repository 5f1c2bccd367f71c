"""Kinds that pieces of a foreign column have, and the one that holds them all."""

from __future__ import annotations

from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from crucible_nb.files import columns as columns_module
from crucible_nb.files import guess
from crucible_nb.files.columns import known
from crucible_nb.files.guess import joined, kind_of_text, kind_of_type
from crucible_nb.files.misfits import Misfits
from crucible_nb.files.text_bytes import has_leading_zeros, holds_any

KINDS = ("empty", "unknown", "count", "long", "whole", "float", "flag", "string")


@pytest.mark.parametrize(("one", "other"), list(product(KINDS, KINDS)))
def test_joining_is_an_ordered_monoid_that_does_not_care_for_order(one, other):
    assert joined(one, other) == joined(other, one)
    assert joined(one, "empty") == one
    assert joined(one, one) == one
    for third in KINDS:
        assert joined(joined(one, other), third) == joined(one, joined(other, third))


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([None], "empty"),
        ([""], "empty"),
        (["NA", None], "unknown"),
        (["1", "NA"], "count"),
        (["1", "9007199254740993"], "long"),
        (["0.5", "9007199254740993"], "string"),
        (["1.0", "9007199254740993"], "string"),
        (["0.5", "9007199254740992"], "float"),
        (["1", "#N/A", "NULL", "<NA>", "\\N", "n/a", "-nan"], "count"),
        (["1.0", "2"], "whole"),
        (["-inf", "1"], "float"),
    ],
)
def test_kind_of_text(texts, kind):
    assert kind_of_text(pa.chunked_array([pa.array(texts, pa.large_string())])) == kind


def test_types_that_nothing_holds():
    assert kind_of_type(pa.month_day_nano_interval()) == "none"


ODD = [
    "0", "-0", "1", "-1", "007", "-007", "0.5", "00.5", "-0.5", ".5", "-.5", "5.", "+1", "+0.5", "1.0", "1.00", "1e5",
    "1E-5", "1e400", "0x1F", "1_0", "1,5", " 1", "1 ", "nan", "NAN", "nan(1)", "inf", "Infinity", "NA", "", None, "True",
    "false", "999999999999999", "1000000000000000", "9007199254740993", "12345678901234567890", "1.0000000000000000001",
    "2025-01-01", "\u00a01", "\u0661",
]  # fmt: skip


def test_kinds_and_numbers_do_not_depend_on_the_fast_way(monkeypatch):
    rng = np.random.default_rng(0)
    columns = [[one] for one in ODD] + [rng.choice(np.array(ODD, object), 3).tolist() for _ in range(200)]
    arrays = [pa.chunked_array([pa.array(texts, pa.large_string())]) for texts in columns]

    def read():
        kinds = [kind_of_text(array) for array in arrays]
        words = [known(array).to_pylist() for array in arrays]
        found = [Misfits().fitted("x", array, kind).to_pylist() for array in arrays for kind in ("float", "boolean")]
        return kinds, words, repr(found)  # NaN is unequal to itself

    fast = read()
    monkeypatch.setattr(guess, "_kind_of_numbers", lambda _: None)
    monkeypatch.setattr(columns_module, "numbers_in", lambda _: None)
    monkeypatch.setattr(columns_module, "holds_words_or_blanks", lambda _: True)
    monkeypatch.setattr(columns_module, "_FEW", 0)
    assert read() == fast
    assert {"count", "float", "string", "flag", "whole"} <= set(fast[0])


def test_bytes_of_texts_in_parts_of_a_column():
    texts = pa.array(["x'y", "07", None, "7", "-0", "-01"], pa.large_string())
    for start, zero, quote in ((0, True, True), (1, True, False), (2, True, False), (5, True, False)):
        assert has_leading_zeros(texts.slice(start)) is zero
        assert holds_any(texts.slice(start), b"'") is quote
    assert not has_leading_zeros(texts.slice(2, 3))
    assert not holds_any(texts.slice(6), b"'")
