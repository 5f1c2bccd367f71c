"""All that crosses between kernel and browser, in one place. `js/src/wire.js` reads what is said here.

The kernel owns the truth, the browser owns pixels. Nothing but the code of the widget is a synced trait: a page that
opens, reloads or shows a second view says `hello` and is sent a keyframe, so no state can be stale.

**Kernel to browser.** A message has a JSON head (`Key`, `Tick` or `Trouble`) and, but for `Trouble`, one binary buffer
an arm. Messages are numbered; a browser that misses one waits for the next keyframe, and asks for it.

**A buffer**, little-endian: float64 for each name of `CARDS`; then, row by row for each bin of time from the `first` on
that the head names, float32 for each name of the keyframe's `series`. Bins replace what was there from `first` on: all
but the newest bin only ever get appended. NaN is "nobody knows".

**Browser to kernel.** `Said`: what a person did, or that a view came, went, was hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import numpy as np

VERSION = 1


class Window(NamedTuple):
    """A choice of the window picker: how many seconds (None: all), and which bins show it."""

    seconds: int | None
    bins: str


WINDOWS = {
    "1min": Window(60, "second"),
    "5min": Window(300, "second"),
    "1h": Window(3600, "minute"),
    "all": Window(None, "all"),
}
"""What the window picker offers."""

CARDS = (
    "now",  # ms since 1970: the experiment's now
    "wall", "active", "paused",  # s since it began
    "total", "progress",  # events collected in all; share of sample_size
    "flagged", "incidents", "alerts",  # so far
    # of the chosen window, over every event:
    "events", "rate",  # events/s of active time
    "success_rate", "successes", "outcomes",
    "p50", "p95", "p99", "error_bound",  # ms; largest relative error of the three, 0 when exact
    "cost", "cost_per_hour",  # USD, USD an hour of active time
    "tokens", "tokens_per_second",
    # of the whole run, valid at every look:
    "success_low", "success_high",
)  # fmt: skip
"""Names of the float64 numbers at the head of a buffer."""

SERIES = ("p50", "p95", "p99", "rate", "success", "cost")
"""Series that every chart page has: latency quantiles (ms), events/s, share of successes, USD an hour."""


class Arm(TypedDict):
    """Where the bins of a buffer begin.

    Attributes:
        first: Number of the first bin that is sent.
        base: Number of the oldest bin that is still to be held.
        width: Length of a bin in ms; bin `i` holds the times in [(i * width), (i + 1) * width) after `origin`.
    """

    first: int
    base: int
    width: float


class Incident(TypedDict):
    """An anomaly for the table and the marker; `id` counts from 1 in each arm."""

    arm: int
    id: int
    start: float
    end: float
    count: int
    severity: str
    metrics: list[str]
    reason: str


class Alert(TypedDict):
    """A rule that was met, a budget that is spent, or an anomaly that paused the run."""

    arm: int
    time: float
    kind: str
    severity: str
    reason: str
    action: str


class Difference(TypedDict):
    """One line of the running comparison: the second arm minus the first.

    Attributes:
        metric: What is compared.
        unit: "share", "ms" or "USD".
        values: Of each arm.
        low, high: Bounds of the difference that are valid at every look; None while nobody knows.
        trail: [elapsed s, low, high] of earlier looks.
        better: The arm that is better beyond doubt, None while neither is.
    """

    metric: str
    unit: str
    values: list[float | None]
    low: float | None
    high: float | None
    trail: list[list[float]]
    better: int | None


class Title(TypedDict):
    """Facts of an arm that do not change; `read`: another process writes it, so that buttons do nothing."""

    name: str
    condition: str | None
    hypothesis: str | None
    sample_size: int | None
    detectors: bool
    read: bool


class Key(TypedDict):
    """A keyframe: all a browser has to know to draw."""

    kind: Literal["key"]
    version: int
    n: int
    refresh: float
    window: str
    status: list[str]
    arms: list[Arm]
    titles: list[Title]
    cards: Sequence[str]
    series: Sequence[str]
    columns: list[str]
    picked: list[str]
    pauses: list[list[float]]
    incidents: list[Incident]
    alerts: list[Alert]
    estimated: bool
    note: str
    compare: list[Difference]


class Tick(TypedDict):
    """What changed since the message before."""

    kind: Literal["tick"]
    n: int
    status: list[str]
    arms: list[Arm]
    incidents: NotRequired[list[Incident]]
    alerts: NotRequired[list[Alert]]


class Trouble(TypedDict):
    """The kernel could not look."""

    kind: Literal["trouble"]
    text: str


class Said(TypedDict, total=False):
    """From the browser.

    Attributes:
        kind: "view" (a view came, is seen, is hidden), "gone", "do", "window" or "pick".
        view: Which view says so.
        seen: Whether anybody can see it.
        hello: Whether it needs a keyframe.
        verb: "pause", "resume" or "stop".
        window: One of `WINDOWS`.
        columns: Columns to draw.
    """

    kind: str
    view: str
    seen: bool
    hello: bool
    verb: str
    window: str
    columns: list[str]


def buffer(cards: Iterable[float], bins: np.ndarray) -> bytes:
    """The binary part for one arm.

    Args:
        cards: Numbers in the order of `CARDS`.
        bins: Rows are bins, columns the series.

    Examples:
        >>> import numpy as np
        >>> len(buffer([0.0] * len(CARDS), np.zeros((2, len(SERIES))))) == 8 * len(CARDS) + 4 * 2 * len(SERIES)
        True
    """
    with np.errstate(over="ignore"):
        return np.array(list(cards), "<f8").tobytes() + np.ascontiguousarray(bins, "<f4").tobytes()


def said(content: Any) -> Said:
    """What a browser sent, as far as it makes sense.

    Examples:
        >>> said({"kind": "do", "verb": "explode"}), said("nonsense")
        ({'kind': 'do'}, {})
    """
    if not isinstance(content, dict) or content.get("kind") not in ("view", "gone", "do", "window", "pick"):
        return {}
    checked: Said = {"kind": content["kind"]}
    if isinstance(content.get("view"), str):
        checked["view"] = content["view"][:64]
    for name in ("seen", "hello"):
        if content.get(name) is True:
            checked[name] = True
    if content.get("verb") in ("pause", "resume", "stop"):
        checked["verb"] = content["verb"]
    if content.get("window") in WINDOWS:
        checked["window"] = content["window"]
    columns = content.get("columns")
    if isinstance(columns, list) and all(isinstance(name, str) for name in columns):
        checked["columns"] = columns[:MOST_COLUMNS]
    return checked


MOST_COLUMNS = 4
"""Numeric columns that are drawn at a time."""
