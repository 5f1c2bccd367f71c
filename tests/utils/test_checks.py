"""Checks of arguments: lengths of time, as every supported pandas reads them."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from crucible_nb.errors import ConfigError
from crucible_nb.utils import checks

DAY = 86_400 * 10**9


@pytest.mark.parametrize("length", ["2D", "48h", "2 days", pd.offsets.Day(2), pd.Timedelta("2D"), dt.timedelta(2)])
def test_days_are_24_hours_however_they_are_written(length: object, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pd.Timedelta

    def timedelta(*args: object, **kwargs: object) -> pd.Timedelta:
        """As in pandas 3.0, which takes no offset of days."""
        if args and isinstance(args[0], pd.offsets.Day):
            raise ValueError("Value must be Timedelta, string, integer, float, timedelta or convertible")
        return real(*args, **kwargs)

    monkeypatch.setattr(checks.pd, "Timedelta", timedelta)
    assert checks.duration("window", length) == 2 * DAY


@pytest.mark.parametrize("length", [0, "-1D", pd.offsets.Day(0), None, "soon", True, "ME"])
def test_no_length(length: object) -> None:
    with pytest.raises(ConfigError, match="expected a positive duration"):
        checks.duration("window", length)
