"""Planned looks: boundaries that spend alpha over a known number of them, cheaper than being valid at every look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from crucible_nb.utils import checks

KINDS = ("obrien_fleming", "pocock")
_NODES = 200
_FAR = 8.0


def spent(fraction: Any, alpha: float = 0.05, spending: str = "obrien_fleming") -> np.ndarray:
    """How much of alpha may be spent by a fraction of the information, on both sides together.

    Args:
        fraction: Number or array in (0, 1].
        alpha: In all.
        spending: "obrien_fleming" spends late, "pocock" evenly.

    Returns:
        float64 like `fraction`.

    Examples:
        >>> spent([0.5, 1.0]).round(4).tolist()
        [0.0031, 0.05]
        >>> spent(0.5, spending="pocock").round(3).item()
        0.031

    References:
        Lan and DeMets: Discrete sequential boundaries for clinical trials. Biometrika 70 (1983).
    """
    from scipy.special import ndtr, ndtri  # noqa: PLC0415

    t = np.asarray(fraction, np.float64)
    if checks.one_of("spending", spending, KINDS) == "pocock":
        return np.asarray(alpha * np.log1p((math.e - 1) * t))
    return np.asarray(4 * ndtr(ndtri(alpha / 4) / np.sqrt(t)))


def boundaries(looks: Any, alpha: float = 0.05, spending: str = "obrien_fleming") -> np.ndarray:
    """The |z| at which to stop at each planned look.

    Args:
        looks: How many, equally spaced; or the fractions of the planned events at which they are, ascending up to 1.
        alpha: Two-sided, over all looks together; in (0, 1).
        spending: "obrien_fleming" or "pocock".

    Returns:
        float64[k]: stop at look k where the |z| of the test reaches it.

    Raises:
        ConfigError: An argument is not what is accepted.

    Examples:
        >>> boundaries(5).round(3).tolist()
        [4.877, 3.357, 2.68, 2.29, 2.031]
        >>> boundaries(1).round(3).tolist()
        [1.96]

    References:
        Lan and DeMets (1983). Armitage, McPherson and Rowe: Repeated significance tests on accumulating data. JRSS A
        132 (1969). Jennison and Turnbull: Group Sequential Methods, chapters 7 and 19. Chapman and Hall (2000).
    """
    from scipy.optimize import brentq  # noqa: PLC0415

    t = fractions_of(looks)
    alpha = checks.number("alpha", alpha, gt=0, lt=1)
    steps = np.diff(spent(t, alpha, spending), prepend=0.0) / 2
    law, found = _Law(), []
    for now, wanted in zip(t, steps, strict=True):
        start = law.begin(float(now))
        bound = brentq(lambda z, s=start, w=wanted: s.above(z) - w, -_FAR, 4 * _FAR, xtol=1e-12)
        found.append(abs(bound))
        law = start.stopped(abs(bound))
    return np.array(found)


def crossing(bounds: Sequence[float] | np.ndarray, looks: Any, drift: float) -> np.ndarray:
    """Probability to have stopped by each look.

    Args:
        bounds: From `boundaries`.
        looks: As there.
        drift: Expected z of the test with all planned events; 0 where there is no difference.

    Returns:
        float64[k], ascending: the last is the power, or alpha where the drift is 0.

    Examples:
        >>> crossing(boundaries(5), 5, 0.0)[-1].round(6).item()
        0.05
        >>> crossing(boundaries(5), 5, 3.2415)[-1].round(2).item()            # a fixed test: 0.90
        0.89
    """
    t, law, gone = fractions_of(looks), _Law(), [0.0]
    for now, bound in zip(t, np.asarray(bounds, np.float64), strict=True):
        start = law.begin(float(now), drift)
        gone.append(gone[-1] + start.above(bound) + start.below(-bound))
        law = start.stopped(bound)
    return np.array(gone[1:])


def inflation(looks: Any, alpha: float = 0.05, power: float = 0.8, spending: str = "obrien_fleming") -> float:
    """How many times the events of a fixed test the plan needs at most, for the same power.

    Examples:
        >>> round(inflation(5), 3), round(inflation(5, spending="pocock"), 2)
        (1.025, 1.21)
    """
    from scipy.optimize import brentq  # noqa: PLC0415
    from scipy.special import ndtri  # noqa: PLC0415

    power = checks.number("power", power, gt=alpha, lt=1)
    bounds, fixed = boundaries(looks, alpha, spending), float(ndtri(1 - alpha / 2) + ndtri(power))
    drift = brentq(lambda d: crossing(bounds, looks, d)[-1] - power, fixed / 2, 2 * fixed, xtol=1e-10)
    return float((drift / fixed) ** 2)


def fractions_of(looks: Any) -> np.ndarray:
    """Planned looks as ascending fractions of all events, the last of which is 1.

    Examples:
        >>> fractions_of(4).tolist()
        [0.25, 0.5, 0.75, 1.0]
    """
    if np.ndim(looks) == 0:
        count = checks.whole("looks", looks, ge=1)
        return np.asarray(np.arange(1, count + 1) / count)
    t = checks.floats("looks", looks)
    if not (len(t) and t[0] > 0 and (np.diff(t) > 0).all() and t[-1] == 1.0):
        raise checks.wrong("looks", looks, "a whole number, or ascending fractions in (0, 1] that end with 1")
    return t


@lru_cache(maxsize=1)
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return np.asarray(nodes), np.asarray(weights)


class _Law:
    """Where the score process is if it has not stopped: nodes of Gauss-Legendre quadrature, with their mass.

    The score S at fraction t is normal with mean drift * t and variance t; z = S / sqrt(t).
    """

    def __init__(self) -> None:
        self.t, self.drift = 0.0, 0.0
        self.at, self.mass = np.zeros(1), np.ones(1)
        self._shift, self._step = 0.0, 0.0

    def begin(self, t: float, drift: float = 0.0) -> _Law:
        """The same, about to move on to t."""
        new = _Law()
        new.t, new.drift, new.at, new.mass = t, drift, self.at, self.mass
        new._shift, new._step = drift * (t - self.t), float(np.sqrt(t - self.t))
        return new

    def above(self, z: float) -> float:
        """Probability to move to or above z."""
        from scipy.special import ndtr  # noqa: PLC0415

        return float(ndtr((self.at + self._shift - z * np.sqrt(self.t)) / self._step) @ self.mass)

    def below(self, z: float) -> float:
        """Probability to move to or below z."""
        from scipy.special import ndtr  # noqa: PLC0415

        return float(ndtr((z * np.sqrt(self.t) - self.at - self._shift) / self._step) @ self.mass)

    def stopped(self, bound: float) -> _Law:
        """What is left once everything beyond +-bound has stopped."""
        new, center = _Law(), self.drift * self.t
        high = np.sqrt(self.t) * min(bound, _FAR + abs(center) / np.sqrt(self.t))
        nodes, weights = _nodes()
        new.t, new.at = self.t, high * nodes
        gap = (new.at[:, None] - self.at - self._shift) / self._step
        density = np.exp(-(gap**2) / 2) @ self.mass / (self._step * np.sqrt(2 * np.pi))
        new.mass = np.asarray(density * weights * high)
        return new
