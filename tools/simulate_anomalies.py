"""False alarms on clean data: `python tools/simulate_anomalies.py [auto] [rates] [--write] [--series N]`.

Series without any offset, so that the floor under the scale (1 % of the mean size) hides nothing. What varies by
itself, drifts and repeats is clean here: every alarm is a false one.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

import crucible_nb as cr
from crucible_nb.anomaly.registry import NAMES, detector_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "anomalies.md"
LENGTHS = (2_000, 5_000, 20_000)
HISTORY = 1_000
RATES = (0.01, 0.001)
MOST = 1.5  # times the asked rate
Law = Callable[[np.random.Generator, int], np.ndarray]


def autoregressive(rng: np.random.Generator, n: int, share: float) -> np.ndarray:
    """Unit variance from the first value on."""
    noise = rng.normal(0, math.sqrt(1 - share**2), n)
    return np.asarray(lfilter([1.0], [1.0, -share], noise, zi=[share * rng.normal()])[0])


def seasonal(rng: np.random.Generator, n: int, period: int) -> np.ndarray:
    """A sine of two standard deviations of the noise, beginning anywhere."""
    return 2 * np.sin(2 * np.pi * (np.arange(n) / period + rng.random())) + rng.normal(size=n)


LAWS: dict[str, tuple[Law, float]] = {
    "normal": (lambda rng, n: rng.normal(size=n), 0.5),
    "AR(1) 0.5": (partial(autoregressive, share=0.5), 0.5),
    "AR(1) 0.9": (partial(autoregressive, share=0.9), 0.5),
    "AR(1) 0.95": (partial(autoregressive, share=0.95), 0.5),
    "AR(1) 0.99": (partial(autoregressive, share=0.99), math.inf),
    "seasonal, period 50": (partial(seasonal, period=50), 0.5),
    "seasonal, period 288": (partial(seasonal, period=288), 0.5),
    "seasonal, period 1,000": (partial(seasonal, period=1_000), 0.5),
    "random walk": (lambda rng, n: rng.normal(size=n).cumsum(), 0.5),
    "lognormal 0.5": (lambda rng, n: rng.lognormal(6, 0.5, n), 1.5),
    "lognormal 1": (lambda rng, n: rng.lognormal(6, 1.0, n), 1.5),
    "lognormal 1.5": (lambda rng, n: rng.lognormal(6, 1.5, n), 1.5),
    "Pareto 1.5": (lambda rng, n: 400 * (1 + rng.pareto(1.5, n)), 1.5),
}
"""A law and how many incidents in 1,000 rows `"auto"` promises at most."""
UNPROMISED = ("AR(1) 0.99", "random walk")
"""Laws on which the share of flagged rows is printed, not promised."""


def draws(law: str, n: int, series: int) -> Iterator[np.ndarray]:
    """Seeded series."""
    for seed in range(series):
        yield LAWS[law][0](np.random.default_rng([seed, n, list(LAWS).index(law)]), n)


def incidents(case: tuple[str, int, str], series: int) -> float:
    """Incidents of "auto" in 1,000 rows, from row 1,000 on."""
    law, n, sensitivity = case
    found = [cr.anomaly.score(values, sensitivity=sensitivity).to_numpy() for values in draws(law, n, series)]
    return float(np.mean([(score[HISTORY:] >= 1).sum() for score in found])) / (n - HISTORY) * 1_000


def share(case: tuple[str, str, float], series: int) -> float:
    """Flagged rows of all that have a score, divided by the asked rate."""
    law, name, rate = case
    flagged = scored = 0
    for values in draws(law, LENGTHS[-1], series):
        detector = detector_of("detector", name, metrics=("value",), false_alarm_rate=rate)
        scores = cr.anomaly.score(values, detector, cooldown=0).to_numpy()
        flagged, scored = flagged + int((scores >= 1).sum()), scored + int((~np.isnan(scores)).sum())
    return flagged / scored / rate


def marked(value: float, limit: float) -> str:
    """A figure, bold where it breaks its promise."""
    return f"{value:.2f}" if value <= limit else f"**{value:.2f}**"


def auto_table(pool: ProcessPoolExecutor, series: int) -> str:
    """Incidents of "auto": by length, and by sensitivity at the greatest length."""
    columns = [*((n, "normal") for n in LENGTHS), (LENGTHS[-1], "low"), (LENGTHS[-1], "high")]
    cases = [(law, n, sensitivity) for law in LAWS for n, sensitivity in columns]
    found = dict(zip(cases, pool.map(partial(incidents, series=series), cases), strict=True))
    heads = [f"{n:,} rows" + (f', `"{kind}"`' if kind != "normal" else "") for n, kind in columns]
    lines = [
        f'**`"auto"`: incidents in 1,000 clean rows**, after {HISTORY:,} rows of history, by length of the series and',
        f'`sensitivity`. Means over {series} seeded series; bold breaks the promise, which is for `"normal"`.\n',
        "| | " + " | ".join(heads) + " | promised |",
        "|---|" + "--:|" * (len(columns) + 1),
    ]
    for law, (_, limit) in LAWS.items():
        figures = [marked(found[law, n, kind], limit if kind == "normal" else math.inf) for n, kind in columns]
        lines.append(f"| {law} | {' | '.join(figures)} | {f'≤ {limit:g}' if math.isfinite(limit) else '–'} |")
    return "\n".join([*lines, ""])


def rate_table(pool: ProcessPoolExecutor, series: int, rate: float) -> str:
    """Flagged rows of all detectors at one rate."""
    cases = [(law, name, rate) for law, name in product(LAWS, NAMES)]
    found = dict(zip(cases, pool.map(partial(share, series=series), cases), strict=True))
    lines = [
        f"**`false_alarm_rate={rate:g}`: flagged rows as a multiple of what was asked**,",
        f"{LENGTHS[-1]:,} rows, {series} seeded series\n",
        "| | " + " | ".join(f"`{name}`" for name in NAMES) + " | promised |",
        "|---|" + "--:|" * (len(NAMES) + 1),
    ]
    for law in LAWS:
        limit = math.inf if law in UNPROMISED else MOST
        figures = " | ".join(marked(found[law, name, rate], limit) for name in NAMES)
        lines.append(f"| {law} | {figures} | {f'≤ {limit:g}' if math.isfinite(limit) else '–'} |")
    return "\n".join([*lines, ""])


def write(block: str, text: str) -> None:
    """Put a text between the marks of a block of the guide."""
    page, begin, end = PAGE.read_text(encoding="utf-8"), f"<!-- {block}: begin -->\n", f"<!-- {block}: end -->\n"
    PAGE.write_text(f"{page.split(begin)[0]}{begin}{text}{end}{page.split(end)[1]}", encoding="utf-8")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="auto, rates; both without any")
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/guides/anomalies.md")
    args = parser.parse_args()
    with ProcessPoolExecutor(args.processes) as pool:
        for part in args.parts or ("auto", "rates"):
            if part == "auto":
                text = auto_table(pool, args.series)
            else:
                text = "\n".join(rate_table(pool, args.series, rate) for rate in RATES)
            print(text, flush=True)
            if args.write:
                write("clean" if part == "auto" else "rates", text)


if __name__ == "__main__":
    main()
