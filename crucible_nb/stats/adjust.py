"""P-values of many tests, corrected so that they can be judged together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.utils import checks

METHODS = {"holm": "holm", "bonferroni": "bonferroni", "bh": "fdr_bh", "benjamini_hochberg": "fdr_bh"}
"""What we call a correction, and what statsmodels calls it."""
NAMES = {"holm": "Holm", "bonferroni": "Bonferroni", "fdr_bh": "Benjamini-Hochberg"}


def adjust(pvalues: Any, method: str = "holm") -> Any:
    """Correct p-values for how many there are.

    Holm and Bonferroni keep the chance of any false discovery at alpha (Holm always finds at least as much);
    Benjamini and Hochberg keep the expected share of false ones among those found at alpha.

    Args:
        pvalues: List, array, Series or dict of p-values; NaN for a test that could not be done, which does not count.
        method: "holm", "bonferroni", or "bh" ("benjamini_hochberg").

    Returns:
        The corrected p-values, in [0, 1]: a Series with the same index, a dict with the same keys, else an array.

    Raises:
        ConfigError: An unknown method.
        StatError: Numbers outside [0, 1].

    Examples:
        >>> from crucible_nb.stats.adjust import adjust
        >>> {name: round(p, 3) for name, p in adjust({"score": 0.01, "latency": 0.04, "cost": 0.03}).items()}
        {'score': 0.03, 'latency': 0.06, 'cost': 0.06}

    References:
        Holm: A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6 (1979).
        Benjamini, Hochberg: Controlling the false discovery rate. JRSS B 57 (1995).
    """
    checks.one_of("method", method, METHODS)
    if isinstance(pvalues, Mapping):
        found = _adjusted(checks.floats("pvalues", list(pvalues.values())), method)
        return dict(zip(pvalues, map(float, found), strict=True))
    if isinstance(pvalues, pd.Series):
        plain = pvalues.astype("Float64").to_numpy(np.float64, na_value=np.nan)
        return pd.Series(_adjusted(plain, method), index=pvalues.index, name=pvalues.name)
    return _adjusted(checks.floats("pvalues", pvalues), method)


def _adjusted(p: np.ndarray, method: str) -> np.ndarray:
    known = ~np.isnan(p)
    if not ((p[known] >= 0) & (p[known] <= 1)).all():
        bad = p[known][(p[known] < 0) | (p[known] > 1)][0]
        raise StatError(f"pvalues: expected numbers in [0, 1], got {bad:g}")
    found = np.full(len(p), np.nan)
    if known.any():
        found[known] = _holm(p[known]) if method == "holm" else _theirs(p[known], METHODS[method])
    return found


def _holm(p: np.ndarray) -> np.ndarray:
    """As in statsmodels, which however has the garbage of the whole process collected: 50 ms where little is loaded."""
    order = np.argsort(p)
    found = np.empty(len(p))
    found[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return found


def _theirs(p: np.ndarray, method: str) -> np.ndarray:
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415  heavy; imported where used

    return multipletests(p, method=method)[1]  # type: ignore[no-any-return]


def correction_text(method: str, tests: int) -> str:
    """What a result says about the correction of its p-value.

    Examples:
        >>> correction_text("bh", 4)
        'Benjamini-Hochberg over 4 tests'
    """
    return f"{NAMES[METHODS[method]]} over {tests} tests"
