"""Everything that crosses between kernel and browser; `js/src/wire.js` reads the messages defined here.

The kernel owns the state, the browser draws it. Only a small loader and the still picture are synced traits: a page
that opens, reloads or shows a second view sends `hello` and receives a keyframe, so its state is never stale.

**Kernel to browser.** A message has a JSON head (`Keyframe`, `Tick`, `Tables`, `ShownTrace`, `Trouble` or `Code`).
Keyframes and ticks have one binary buffer per arm, and are numbered; a browser that misses one requests a keyframe and
waits for it.
`Code` brings the program of the page, which a page asks for once.

**A buffer**, little-endian: float64 for each name of `CARDS`; then, for each bin from `first` of the head on, float32
for each name in the keyframe's `series`. Bins replace the previous ones from `first` on: except for the newest, bins
are only appended. NaN means unknown.

**Browser to kernel.** `BrowserMessage`: a click or a choice; a view that opened, closed, was shown or hidden; a page
that needs the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict, cast

import numpy as np

VERSION = 2


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

AXES = ("time", "elapsed", "step")
"""Choices of the horizontal axis; "step" has bins of its own."""

SERIES = ("p50", "p95", "p99", "rate", "success", "cost")
"""Series of every dashboard: latency quantiles (ms), events per second, success rate, USD per hour."""


class Arm(TypedDict):
    """Position of the bins of a buffer.

    Attributes:
        first: Number of the first bin sent.
        base: Number of the oldest bin that the browser keeps.
        width: Length of a bin in ms; bin `i` holds the times in [i * width, (i + 1) * width) since 1970. On the axis
            "step" the length is in steps.
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
    """One line of the running comparison: another arm minus the first.

    Attributes:
        arm: Index of the other arm.
        metric: Name of the metric as shown.
        unit: "share", "ms" or "USD".
        values: Value of the first arm and of the other one.
        low, high: Anytime-valid interval of the difference; None while unknown.
        trail: [elapsed s, low, high] of earlier intervals.
        better: Index of the arm whose advantage is significant, None while there is none.
    """

    arm: int
    metric: str
    unit: str
    values: list[float | None]
    low: float | None
    high: float | None
    trail: list[list[float]]
    better: int | None


class ListedRow(TypedDict):
    """One event of a list.

    Attributes:
        value: Latency in ms, or cost in USD.
        time: ms since 1970.
        seq: Sequence number.
        texts: Event, model and error, as far as known.
        ids: `sample_id`, `session_id` and `user_id`, as far as known.
        trace: Beginning of its trace id, if it is part of a trace.
    """

    value: float
    time: float
    seq: int
    texts: dict[str, str]
    ids: dict[str, str]
    trace: NotRequired[str]


class ArmTables(TypedDict):
    """Tables of one arm: [class, count] of its errors, and its slowest and dearest kept events."""

    errors: list[list[Any]]
    slowest: list[ListedRow]
    dearest: list[ListedRow]


class Tables(TypedDict):
    """The tables of all arms; sent when they have changed, at most once a second."""

    kind: Literal["tables"]
    arms: list[ArmTables]


class Code(TypedDict):
    """The program of the page; its two buffers are the JavaScript, and the stylesheet of the page."""

    kind: Literal["code"]


class ShownTrace(TypedDict):
    """A trace that a page has asked for, as HTML made of escaped texts."""

    kind: Literal["trace"]
    html: str


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
    span: list[list[float]] | None
    axis: str
    has_steps: bool
    by: str
    groupings: list[str]
    groups: list[str]
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
        kind: "view" (a view opened, is visible or is hidden), "gone", "do", "window", "pick", "by", "axis", "span",
            "trace" or "code".
        view: Name of the view that sends it.
        seen: Whether the view is visible.
        hello: Whether the view needs a keyframe.
        verb: "pause", "resume" or "stop".
        arm: Index of the arm that the verb or the trace is for; None for all.
        trace: Beginning of the id of a trace to show.
        window: Name of the chosen window, a key of `WINDOWS`.
        columns: Columns to draw.
        by: Column to break down by, "" for none.
        axis: Name of the horizontal axis, one of `AXES`.
        span: [start, stop] in ms since 1970 of each arm, for cards and tables; [] for the window again.
    """

    kind: str
    view: str
    seen: bool
    hello: bool
    verb: str
    arm: int
    window: str
    columns: list[str]
    by: str
    axis: str
    trace: str
    span: list[list[float]]


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
    if not isinstance(content, dict) or content.get("kind") not in KINDS:
        return {}
    checked: dict[str, Any] = {"kind": content["kind"]}
    for name, is_valid in _CHECKS.items():
        if name in content and is_valid(content[name]):
            checked[name] = content[name]
    if "view" in checked:
        checked["view"] = checked["view"][:64]
    if "columns" in checked:
        checked["columns"] = checked["columns"][:MAX_COLUMNS]
    return cast("BrowserMessage", checked)


def _is_span(pair: Any) -> bool:
    """Whether this is a pair of times in ms, the first before the second."""
    numbers = isinstance(pair, list) and len(pair) == 2 and all(type(one) in (int, float) for one in pair)
    return numbers and -_LATEST < pair[0] < pair[1] < _LATEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_valid, value))


def _among(options: Iterable[str]) -> Callable[[Any], bool]:
    return lambda value: _is_text(value) and value in options


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "view": _is_text,
    "seen": lambda value: value is True,
    "hello": lambda value: value is True,
    "verb": _among(("pause", "resume", "stop")),
    "window": _among(WINDOWS),
    "arm": lambda value: type(value) is int and value >= 0,
    "by": _is_text,
    "trace": _is_text,
    "axis": _among(AXES),
    "columns": _are(_is_text),
    "span": _are(_is_span),
}

_LATEST = 9e12  # ms since 1970 that fit into int64 nanoseconds

KINDS = ("view", "gone", "do", "window", "pick", "by", "axis", "span", "trace", "code")
"""Kinds of messages from the browser."""

MAX_COLUMNS = 24
"""Maximum of numeric columns drawn at a time."""
