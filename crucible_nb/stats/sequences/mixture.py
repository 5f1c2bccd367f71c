"""Evidence against a proportion: a beta mixture of likelihood ratios, valid at every n.

For the true proportion p, the product of theta^x (1 - theta)^(1 - x) / (p^x (1 - p)^(1 - x)) over events is a
martingale for every theta; so is a mixture over theta, which ever exceeds 1 / alpha with probability at most alpha.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LOG2 = float(np.log(2.0))


def log_mixture(successes: Any, n: Any, p: Any, strength: float) -> Any:
    """Log evidence against the proportion p after n events, under theta ~ Beta(strength p, strength (1 - p)).

    Args:
        successes: Number of successes, a number or an array.
        n: Number of events.
        p: Hypothesised proportion, in (0, 1).
        strength: Number of events that the prior counts as; the evidence is sharpest at about 8 times as many.

    Returns:
        Float or array: log B(S + a, n - S + b) - log B(a, b) - S log p - (n - S) log(1 - p).

    Examples:
        >>> log_mixture(0, 0, 0.5, 2.0).item(), log_mixture(1, 1, 0.5, 2.0).item()  # one event is no evidence
        (0.0, 0.0)
        >>> round(np.exp(log_mixture(2, 2, 0.5, 2.0)).item(), 6)  # uniform theta: mean of (2 theta)^2
        1.333333

    References:
        Robbins: Statistical methods related to the law of the iterated logarithm. Ann. Math. Stat. 41 (1970).
    """
    from scipy.special import betaln  # noqa: PLC0415

    a, b = strength * p, strength * (1 - p)
    failures = n - successes
    return (
        betaln(successes + a, failures + b) - betaln(a, b) - successes * np.log(p) - failures * np.log1p(-np.asarray(p))
    )


def log_sides(at_most: np.ndarray, below: np.ndarray, n: float, p: float, strength: float) -> np.ndarray:
    """Log evidence against a value q being the quantile p, valid with ties.

    The quantile q has P(x <= q) >= p >= P(x < q). The mixture over theta < p, with the count of x <= q, is a
    supermartingale by the first inequality, that over theta > p, with the count of x < q, by the second; so is their
    mean.

    Args:
        at_most: Number of values <= q, for each q.
        below: Number of values < q, for each q.
        n: Number of values.
        p: The quantile, in (0, 1).
        strength: As in `log_mixture`.

    Returns:
        float64 of the shape of the counts.

    Examples:
        >>> sides = log_sides(np.array([0.0, 5.0]), np.array([0.0, 5.0]), 10.0, 0.5, 20.0)
        >>> bool(sides[0] > 0 > sides[1])                              # 0 of 10 below: not the median; 5 of 10: may be
        True

    References:
        Robbins (1970), as above. Howard and Ramdas: Sequential estimation of quantiles. Bernoulli 28 (2022).
    """
    from scipy.special import betainc  # noqa: PLC0415

    a, b = strength * p, strength * (1 - p)
    with np.errstate(divide="ignore"):  # a side whose mass underflows gives no evidence: log 0
        low = np.log(betainc(at_most + a, n - at_most + b, p)) - np.log(betainc(a, b, p))
        high = np.log(betainc(n - below + b, below + a, 1 - p)) - np.log(betainc(b, a, 1 - p))
    low += log_mixture(at_most, n, p, strength)
    high += log_mixture(below, n, p, strength)
    return np.asarray(np.logaddexp(low, high) - LOG2)
