"""Kinds that pieces of a foreign column have, and the one that holds them all."""

from __future__ import annotations

from itertools import product

import pyarrow as pa
import pytest

from crucible_nb.files.guess import joined, kind_of_text, kind_of_type

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
