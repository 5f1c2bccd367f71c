"""Range-based precision and recall against values worked out by hand from the definitions of Tatbul et al. (2018)."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.range_measures import Covered, covered, incidents


def test_values_worked_out_by_hand() -> None:
    """Labelled: rows 10 to 19, 40 to 43, 60. Predicted: 8 to 11, 15 to 16, 42 to 51, 70."""
    found = covered([(10, 19), (40, 43), (60, 60)], [(8, 11), (15, 16), (42, 51), (70, 70)], existence=0.5)
    first = 0.5 + 0.5 * (2 / 10 + 2 / 10) / 2  # two predicted ranges: half of the share
    second = 0.5 + 0.5 * 2 / 4
    assert found.recall == pytest.approx((first + second + 0) / 3)
    assert found.precision == pytest.approx((2 / 4 + 2 / 2 + 2 / 10 + 0) / 4)
    assert found.f1 == pytest.approx(2 * 0.425 * (1.35 / 3) / (0.425 + 1.35 / 3))


@pytest.mark.parametrize("existence", [0.0, 0.3, 1.0])
def test_existence_is_a_part_of_recall_only(existence: float) -> None:
    found = covered([(0, 9)], [(9, 12)], existence)
    assert found.recall == pytest.approx(existence + (1 - existence) / 10)
    assert found.precision == pytest.approx(1 / 4)


def test_ranges_of_one_row_are_classical_precision_and_recall() -> None:
    """With points for ranges the measures are the classical ones, as the authors require."""
    rng = np.random.default_rng(0)
    label, flag = rng.random((2, 400)) < 0.2
    points = [[(row, row) for row in np.flatnonzero(rows).tolist()] for rows in (label, flag)]
    found = covered(*points, existence=0.0)
    assert found.recall == pytest.approx((label & flag).sum() / label.sum())
    assert found.precision == pytest.approx((label & flag).sum() / flag.sum())


def test_series_are_added_range_by_range() -> None:
    total = covered([(0, 9)], [(0, 9)]) + covered([(5, 6), (20, 29)], []) + covered([], [(3, 4)])
    assert total == Covered(recalled=1.0, labelled=3, precise=1.0, predicted=2)
    assert (total.recall, total.precision) == (pytest.approx(1 / 3), 0.5)


def test_nothing_predicted_or_labelled_is_0() -> None:
    assert covered([], []).f1 == covered([(0, 1)], []).f1 == covered([], [(0, 1)]).f1 == 0


def test_incidents_join_flags_within_the_cooldown() -> None:
    flags = np.zeros(500, bool)
    flags[[3, 4, 104, 205, 400]] = True
    assert incidents(flags, 100) == [(3, 104), (205, 205), (400, 400)]
    assert incidents(flags[:3], 100) == []
