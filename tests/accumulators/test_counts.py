"""Counts against collections.Counter, below and above the limit."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from crucible_nb.accumulators import Counts
from crucible_nb.errors import ConfigError, StatError, StoreError

WORDS = np.random.default_rng(0).choice([f"model-{i}" for i in range(50)], 2000).tolist()


def test_against_counter_in_order_of_first_appearance():
    found = Counts().update(WORDS[:700]).merge(Counts().update(WORDS[700:]))
    expected = Counter(WORDS)
    assert found.counts == expected
    assert list(found.counts) == list(expected)


def test_arrays_series_and_categories():
    expected = {"b": 2.0, "a": 1.0}
    for values in (
        np.array(["b", "a", "b"]),
        np.array(["b", None, "a", "b"], dtype=object),
        pd.Series(["b", "a", "b", None]),
        pd.Series(["b", "a", "b", None], dtype="category"),
        pd.Series(["b", pd.NA, "a", "b"], dtype="string"),
        ("b", "a", "b"),
    ):
        assert Counts().update(values).counts == expected


def test_every_kind_of_missing_is_counted():
    assert Counts().update([None, math.nan, pd.NA, np.float64("nan"), "a"]).missing == 4
    assert Counts().update([None, "a", None], weights=[1, 1, 0]).missing == 1


def test_above_the_limit_counts_stay_exact_and_the_total_too():
    found = Counts(limit=7).update(WORDS)
    expected = Counter(WORDS)
    assert len(found.counts) == 7
    assert all(expected[word] == count for word, count in found.counts.items())
    assert found.other == 2000 - sum(found.counts.values())
    assert found.result().total == 2000


def test_what_is_kept_depends_on_what_came_alone():
    kept = set(Counts(limit=7).update(WORDS).counts)
    assert set(Counts(limit=7).update(WORDS[::-1]).counts) == kept
    assert set(Counts(limit=7).update(sorted(set(WORDS))).counts) == kept


def test_weights_and_counts_made_elsewhere():
    assert Counts().update(["a", "b", "a"], weights=[0.5, 0, 2]).counts == {"a": 2.5}
    assert Counts().add({"a": 2.5}) == Counts().update(["a", "a"], weights=[0.5, 2])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("text", "values='text': expected a list of texts"),
        (["a", 3], "values=3: expected texts, None for missing"),
        ([1.5, "a"], "values=1.5: expected texts, None for missing"),
    ],
)
def test_values_that_are_no_texts(values, sentence):
    with pytest.raises(StatError) as error:
        Counts().update(values)
    assert str(error.value) == sentence


def test_other_limits_do_not_merge():
    with pytest.raises(ConfigError) as error:
        Counts(3).merge(Counts(4))
    assert str(error.value) == "later=Counts(counts={}, other=0.0): expected Counts(limit=3)"
    with pytest.raises(ConfigError, match=r"^limit=0: expected a whole number >= 1$"):
        Counts(0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"categories": "a"}, "state of 'counts': categories: expected a list of strings"),
        ({"categories": ["a", "a"]}, "state of 'counts': categories: expected different strings"),
        ({"counts": [1.0]}, "state of 'counts': weights: expected 2 numbers, one for each value, got 1"),
        ({"counts": [1.0, -1.0]}, "state of 'counts': weights: expected finite numbers >= 0, got -1.0"),
        ({"limit": 0}, "state of 'counts': limit=0: expected a whole number >= 1"),
    ],
)
def test_broken_state(change, sentence):
    with pytest.raises(StoreError) as error:
        Counts.from_dict(Counts().update(["a", "b"]).to_dict() | change)
    assert str(error.value) == sentence
