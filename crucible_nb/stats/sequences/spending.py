"""Group sequential boundaries: alpha spending over a planned number of looks, with fewer events than a sequence."""

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
    """Part of alpha that is spent up to a fraction of the information, two-sided.

    Args:
        fraction: Number or array in (0, 1].
        alpha: Significance level over all looks.
        spending: "obrien_fleming" spends most of alpha late, "pocock" evenly.

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
    """Boundaries of |z| at the planned looks.

    Args:
        looks: Number of equally spaced looks; or their fractions of the planned events, ascending up to 1.
        alpha: Two-sided significance level over all looks, in (0, 1).
        spending: "obrien_fleming" or "pocock".

    Returns:
        float64[k]: stop at look k if the |z| of the test reaches boundary k.

    Raises:
        ConfigError: An argument is not accepted.

    Examples:
        >>> boundaries(5).round(3).tolist()
        [4.877, 3.357, 2.68, 2.29, 2.031]
        >>> boundaries(1).round(3).tolist()
        [1.96]

    References:
        Lan and DeMets (1983). Armitage, McPherson and Rowe: Repeated significance tests on accumulating data. JRSS A
        132 (1969). Jennison and Turnbull: Group Sequential Methods, chapters 7 and 19. Chapman and Hall (2000).
    """
    t = fractions_of(looks)
    return boundaries_at(t, checks.number("alpha", alpha, gt=0, lt=1), spending)


def boundaries_at(t: Any, alpha: float = 0.05, spending: str = "obrien_fleming") -> np.ndarray:
    """Boundaries of |z| at looks that need not be those of a plan: early, uneven, or later than its end.

    Args:
        t: Fractions of the planned events, ascending, above 0; the first look at or above 1 spends the rest of alpha.
        alpha, spending: As for `boundaries`.

    Returns:
        float64[k]; 32 where next to no alpha is spent.

    Examples:
        >>> boundaries_at([0.5, 1.0]).round(3).tolist(), boundaries_at([0.5, 1.2]).round(3).tolist()
        ([2.963, 1.969], [2.963, 1.972])

    References:
        Lan and DeMets (1983).
    """
    from scipy.optimize import brentq  # noqa: PLC0415

    steps = np.diff(spent(np.minimum(t, 1.0), alpha, spending), prepend=0.0) / 2
    process, bounds = _ScoreProcess(), []
    for fraction, step in zip(t, steps, strict=True):
        moving, bound = process.move_to(float(fraction)), 4 * _FAR
        if step > moving.above(bound):
            bound = abs(brentq(lambda z, p=moving, s=step: p.above(z) - s, -_FAR, 4 * _FAR, xtol=1e-12))
        bounds.append(bound)
        process = moving.stop_beyond(bound)
    return np.array(bounds)


def crossing(bounds: Sequence[float] | np.ndarray, looks: Any, drift: float) -> np.ndarray:
    """Probability to have stopped by each look.

    Args:
        bounds: Boundaries from `boundaries`.
        looks: As for `boundaries`.
        drift: Expected z of the test with all planned events; 0 without a difference.

    Returns:
        float64[k], ascending: the last is the power, or alpha if the drift is 0.

    Examples:
        >>> crossing(boundaries(5), 5, 0.0)[-1].round(6).item()
        0.05
        >>> crossing(boundaries(5), 5, 3.2415)[-1].round(2).item()            # a fixed test: 0.90
        0.89
    """
    t, process, stopped = fractions_of(looks), _ScoreProcess(), [0.0]
    for fraction, bound in zip(t, np.asarray(bounds, np.float64), strict=True):
        moving = process.move_to(float(fraction), drift)
        stopped.append(stopped[-1] + moving.above(bound) + moving.below(-bound))
        process = moving.stop_beyond(bound)
    return np.array(stopped[1:])


def inflation(looks: Any, alpha: float = 0.05, power: float = 0.8, spending: str = "obrien_fleming") -> float:
    """Maximal number of events of the plan relative to a test with one look, for the same power.

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
    """Convert planned looks to ascending fractions of all events, the last of which is 1.

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


class _ScoreProcess:
    """Distribution of the score process that has not stopped, as nodes of Gauss-Legendre quadrature with their mass.

    The score S at fraction t is normal with mean drift * t and variance t; z = S / sqrt(t).
    """

    def __init__(self) -> None:
        self.t, self.drift = 0.0, 0.0
        self.at, self.mass = np.zeros(1), np.ones(1)
        self._shift, self._step = 0.0, 0.0

    def move_to(self, t: float, drift: float = 0.0) -> _ScoreProcess:
        """Copy the process with its next move, from the present fraction to t."""
        new = _ScoreProcess()
        new.t, new.drift, new.at, new.mass = t, drift, self.at, self.mass
        new._shift, new._step = drift * (t - self.t), float(np.sqrt(t - self.t))
        return new

    def above(self, z: float) -> float:
        """Probability that the move ends at or above z."""
        from scipy.special import ndtr  # noqa: PLC0415

        return float(ndtr((self.at + self._shift - z * np.sqrt(self.t)) / self._step) @ self.mass)

    def below(self, z: float) -> float:
        """Probability that the move ends at or below z."""
        from scipy.special import ndtr  # noqa: PLC0415

        return float(ndtr((z * np.sqrt(self.t) - self.at - self._shift) / self._step) @ self.mass)

    def stop_beyond(self, bound: float) -> _ScoreProcess:
        """Make the move, and remove the mass beyond +-bound, where the process stops."""
        new, center = _ScoreProcess(), self.drift * self.t
        high = np.sqrt(self.t) * min(bound, _FAR + abs(center) / np.sqrt(self.t))
        nodes, weights = _nodes()
        new.t, new.at = self.t, high * nodes
        gap = (new.at[:, None] - self.at - self._shift) / self._step
        density = np.exp(-(gap**2) / 2) @ self.mass / (self._step * np.sqrt(2 * np.pi))
        new.mass = np.asarray(density * weights * high)
        return new
