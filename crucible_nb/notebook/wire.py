"""Everything that crosses between kernel and browser; `js/src/wire.js` reads the messages defined here.

The kernel owns the state, the browser draws it. Only the code of the widget is a synced trait: a page that opens,
reloads or shows a second view sends `hello` and receives a keyframe, so its state is never stale.

**Kernel to browser.** A message has a JSON head (`Keyframe`, `Tick` or `Trouble`) and, except for `Trouble`, one binary
buffer per arm. Messages are numbered; a browser that misses one requests a keyframe and waits for it.

**A buffer**, little-endian: float64 for each name of `CARDS`; then, for each bin from `first` of the head on, float32
for each name in the keyframe's `series`. Bins replace the previous ones from `first` on: except for the newest, bins
are only appended. NaN means unknown.

**Browser to kernel.** `BrowserMessage`: a click or a choice, or that a view opened, closed, was shown or hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import numpy as np

VERSION = 1


class Window(NamedTuple):
    """A choice of the window picker.

    Attributes:
        seconds: Length in seconds; None for the whole run.
        bins: Name of the bins that show it.
    """

    seconds: int | None
    bins: str


WINDOWS = {
    "1min": Window(60, "second"),
    "5min": Window(300, "second"),
    "1h": Window(3600, "minute"),
    "all": Window(None, "all"),
}
"""Choices of the window picker, by name."""

CARDS = (
    "now",  # ms since 1970: the experiment's now
    "wall", "active", "paused",  # s since the start
    "total", "progress",  # all events; proportion of sample_size
    "flagged", "incidents", "alerts",  # counts since the start
    # of the chosen window, over every event:
    "events", "rate",  # events per second of active time
    "success_rate", "successes", "outcomes",
    "p50", "p95", "p99", "error_bound",  # ms; largest relative error of the three, 0 when exact
    "cost", "cost_per_hour",  # USD, USD per hour of active time
    "tokens", "tokens_per_second",
    # of the whole run, anytime-valid:
    "success_low", "success_high",
)  # fmt: skip
"""Names of the float64 numbers at the head of a buffer."""

SERIES = ("p50", "p95", "p99", "rate", "success", "cost")
"""Series of every dashboard: latency quantiles (ms), events per second, success rate, USD per hour."""


class Arm(TypedDict):
    """Position of the bins of a buffer.

    Attributes:
        first: Number of the first bin sent.
        base: Number of the oldest bin that the browser keeps.
        width: Length of a bin in ms; bin `i` holds the times in [i * width, (i + 1) * width) since 1970.
    """

    first: int
    base: int
    width: float


class Incident(TypedDict):
    """An anomaly, for the table and the chart marker.

    Attributes:
        arm: Index of the arm.
        id: Number of the incident within its arm, from 1.
        start, end: Times of its first and last flagged event, ms since 1970.
        count: Number of flagged events.
        severity: "low", "medium", "high" or "critical".
        metrics: Columns with an anomalous value.
        reason: Explanation in words.
    """

    arm: int
    id: int
    start: float
    end: float
    count: int
    severity: str
    metrics: list[str]
    reason: str


class Alert(TypedDict):
    """A rule that was met, a budget that is spent, or an anomaly that paused the experiment."""

    arm: int
    time: float
    kind: str
    severity: str
    reason: str
    action: str


class Difference(TypedDict):
    """One line of the running comparison: the second arm minus the first.

    Attributes:
        metric: Name of the metric as shown.
        unit: "share", "ms" or "USD".
        values: Value of each arm.
        low, high: Anytime-valid interval of the difference; None while unknown.
        trail: [elapsed s, low, high] of earlier intervals.
        better: Index of the arm whose advantage is significant, None while there is none.
    """

    metric: str
    unit: str
    values: list[float | None]
    low: float | None
    high: float | None
    trail: list[list[float]]
    better: int | None


class Title(TypedDict):
    """Facts of an arm that do not change.

    Attributes:
        name, condition, hypothesis, sample_size: Arguments of `cr.start`.
        detectors: Whether a detector is on.
        read: Whether the experiment is read-only here, so that the buttons are disabled.
    """

    name: str
    condition: str | None
    hypothesis: str | None
    sample_size: int | None
    detectors: bool
    read: bool


class Keyframe(TypedDict):
    """A message with everything a browser needs to draw."""

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
    """A message with the changes since the previous one."""

    kind: Literal["tick"]
    n: int
    status: list[str]
    arms: list[Arm]
    incidents: NotRequired[list[Incident]]
    alerts: NotRequired[list[Alert]]


class Trouble(TypedDict):
    """An error in the refresh thread, shown by the browser."""

    kind: Literal["trouble"]
    text: str


class BrowserMessage(TypedDict, total=False):
    """A message from the browser.

    Attributes:
        kind: "view" (a view opened, is visible or is hidden), "gone", "do", "window" or "pick".
        view: Name of the view that sends it.
        seen: Whether the view is visible.
        hello: Whether the view needs a keyframe.
        verb: "pause", "resume" or "stop".
        window: Name of the chosen window, a key of `WINDOWS`.
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
    """Encode the binary part of one arm.

    Args:
        cards: Numbers in the order of `CARDS`.
        bins: float64[bins, series].

    Examples:
        >>> import numpy as np
        >>> len(buffer([0.0] * len(CARDS), np.zeros((2, len(SERIES))))) == 8 * len(CARDS) + 4 * 2 * len(SERIES)
        True
    """
    with np.errstate(over="ignore"):
        return np.array(list(cards), "<f8").tobytes() + np.ascontiguousarray(bins, "<f4").tobytes()


def parse_browser_message(content: Any) -> BrowserMessage:
    """Validate a message from a browser; invalid parts are left out.

    Examples:
        >>> parse_browser_message({"kind": "do", "verb": "explode"}), parse_browser_message("nonsense")
        ({'kind': 'do'}, {})
    """
    if not isinstance(content, dict) or content.get("kind") not in ("view", "gone", "do", "window", "pick"):
        return {}
    checked: BrowserMessage = {"kind": content["kind"]}
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
        checked["columns"] = columns[:MAX_COLUMNS]
    return checked


MAX_COLUMNS = 4
"""Maximum of numeric columns drawn at a time."""
