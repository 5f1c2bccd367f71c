"""`cr.demo()`: two ways to find a median, measured on this machine, compared, and disturbed on purpose."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from html import escape
from typing import TextIO

import numpy as np

from crucible_nb.anomaly.registry import detectors_of
from crucible_nb.comparison import Comparison, compare
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.results import number
from crucible_nb.utils import checks
from crucible_nb.utils.ui import has_widgets

_SIZE = 50_000  # numbers in a list
_LISTS = 16
_MIN_ITEMS = 400  # lists before the verdict and the pauses, so that detectors know what is usual
_PAUSES = 5  # calls that are held up
_PAUSE, _LONGEST_PAUSE = 0.06, 0.5  # seconds; longer than what a busy machine does to calls by itself
_METRIC = "mean_cpu_ms"  # processor time, which other programs of the machine hardly change
_ALPHA = 0.001  # the same code twice is taken for different once in a thousand demos
_MINUTE = 60 * 10**9


def _sorted_median(values: np.ndarray) -> float:
    middle = len(values) // 2
    return float(np.sort(values)[middle])


def _partitioned_median(values: np.ndarray) -> float:
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle])


_ARMS: dict[str, tuple[str, Callable[[np.ndarray], float]]] = {
    "A": ("A: np.sort", _sorted_median),
    "B": ("B: np.partition", _partitioned_median),
    "C": ("C: np.sort again", _sorted_median),
}


class Demo:
    """A running or ended demo.

    Attributes:
        experiments: The experiments by arm: "A", "B", "C".
        comparisons: What was found, by arm: "B" and "C", each against "A"; empty before.
        text: The story so far.

    Examples:
        >>> import io
        >>> import crucible_nb as cr
        >>> found = cr.demo(seconds=1.0, stream=io.StringIO())
        >>> found.wait(), found.experiments["A"].status
        (True, 'stopped')
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        _experiment("first").stop()  # the first detector loads code, and all arms begin together
        self.experiments = {arm: _experiment(name) for arm, (name, _) in _ARMS.items()}
        self.comparisons: dict[str, Comparison] = {}
        self.text = ""
        self._say, self._stop, self._ended = say, threading.Event(), threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the demo has ended; return whether it has.

        Args:
            timeout: Maximum time to wait in seconds; None for no limit.

        Examples:
            >>> import io
            >>> import crucible_nb as cr
            >>> cr.demo(seconds=1.0, stream=io.StringIO()).wait(timeout=60.0)
            True
        """
        return self._ended.wait(timeout)

    def stop(self) -> None:
        """End the demo after the present call.

        Examples:
            >>> import io
            >>> import crucible_nb as cr
            >>> cr.demo(seconds=1.0, stream=io.StringIO()).stop()
        """
        self._stop.set()

    def run(self, seconds: float) -> None:
        """Tell the whole story, and stop the experiments whatever happens."""
        try:
            self._tell(
                f"Two ways to find the median of {_SIZE:,} numbers, measured on this machine while you look:",
                *(f"  {name}" for name, _ in _ARMS.values()),
            )
            work = self._work()
            self._act(work, 0.55 * seconds, _MIN_ITEMS)
            self._decide()
            self._disturb(work)
            self._act(work, 0.3 * seconds, _MIN_ITEMS // 4)
            self._find_pauses()
        finally:
            for experiment in self.experiments.values():
                experiment.stop()
            self._end()

    def _end(self) -> None:
        total = sum(experiment.metrics().events for experiment in self.experiments.values())
        self._tell(
            f"Ended: {total:,} events, nothing was written to disk. Your own: exp = cr.start('name'); exp.record(...)"
        )
        self._ended.set()

    def _tell(self, *lines: str) -> None:
        self.text += "".join(f"{line}\n" for line in lines)
        self._say(self.text)

    def _work(self) -> Iterator[int]:
        """Find the median of one list after another in each way, in random order, so that no way is always first."""
        rng = np.random.default_rng(0)
        lists = rng.random((_LISTS, _SIZE))
        for name in _ARMS:
            _ARMS[name][1](lists[0])  # the first call of all loads code
        item = 0
        while True:
            for arm in rng.permutation(list(_ARMS)).tolist():
                self._call(arm, lists[item % _LISTS], item)
            item += 1
            yield item

    def _call(self, arm: str, values: np.ndarray, item: int, pause: float = 0.0) -> None:
        name, median = _ARMS[arm]
        with self.experiments[arm].span("median", sample_id=f"list-{item}", model=name[3:]) as span:
            begin = time.thread_time()
            median(values)
            span.set(cpu_ms=1000 * (time.thread_time() - begin))
            if pause:
                time.sleep(pause)

    def _act(self, work: Iterator[int], seconds: float, items: int) -> None:
        """Work for some seconds and at least some items, and tell how it goes about every two seconds."""
        begin = told = time.monotonic()
        done = 0
        while not self._stop.is_set() and (time.monotonic() - begin < seconds or done < items):
            item = next(work)
            done += 1
            time.sleep(0.001)  # leaves the interpreter to whoever draws
            if time.monotonic() - told > 2.0:
                told = time.monotonic()
                self._tell(f"  {3 * item:>7,} calls   {self._medians()}")

    def _medians(self) -> str:
        latencies = {arm: experiment.metrics().latency.p50 for arm, experiment in self.experiments.items()}
        return "   ".join(f"{arm} p50 {latency:.3f} ms" for arm, latency in latencies.items())

    def _decide(self) -> None:
        """Compare both with A; the lists are the same, so calls are compared in pairs."""
        if self._stop.is_set():
            return
        for arm in ("B", "C"):
            arms = self.experiments["A"], self.experiments[arm]
            found = compare(*arms, metrics=[_METRIC], direction={_METRIC: "down"}, alpha=_ALPHA)
            assert isinstance(found, Comparison)
            self.comparisons[arm] = found
        better, same = (self.comparisons[arm][_METRIC] for arm in ("B", "C"))
        low, high = better.confidence_interval
        self._tell(
            f"Is B better than A? {better.verdict}: {number(better.estimate)} ms of processor time "
            f"({number(low)} to {number(high)}, {100 * better.confidence:g} % interval), "
            f"{better.test}, {better.n[1]:,} lists, {p_text(better.pvalue)}.",
            f"Is C better than A? {same.verdict}: it is the same code, {p_text(same.pvalue)}.",
        )

    def _disturb(self, work: Iterator[int]) -> None:
        """Hold up some calls of A."""
        if self._stop.is_set():
            return
        usual = self.experiments["A"].metrics()
        pause = min(max(_PAUSE, 3 * usual.latency.max / 1000), _LONGEST_PAUSE)
        self._tell(f"Now {_PAUSES} calls of A are held up for {1000 * pause:.0f} ms each.")
        self._disturbed = usual.events
        values = np.random.default_rng(1).random(_SIZE)
        for at in range(_PAUSES):
            self._call("A", values, -1 - at, pause)
            next(work)

    _disturbed = -1
    """Number of calls of A before the first that was held up."""

    def _find_pauses(self) -> None:
        if self._disturbed < 0:
            return
        incidents = self.experiments["A"].anomalies()
        late = self._disturbed + 4 * _PAUSES
        found = incidents[(incidents["last_seq"] >= self._disturbed) & (incidents["first_seq"] < late)]
        others = len(incidents) - len(found)
        own = f" {others} other incidents are this machine's own." if others else ""
        if not len(found):
            self._tell(f"The detector has not noticed it.{own}")
            return
        first = found.iloc[0]
        self._tell(f"Noticed: {first['severity']}, {first['reason']}.{own}")

    def __repr__(self) -> str:
        state = "ended" if self._ended.is_set() else "running; .wait() waits for its end, .stop() ends it"
        return f"<Demo {state}>"


def _experiment(name: str) -> Experiment:
    """Start an experiment in memory, whatever the environment says, that no list of experiments shows."""
    detectors, action, notify = detectors_of("auto", {"metrics": ["latency_ms"]})
    return Experiment(
        ExperimentConfig(
            name, tags=("demo",), windows=(_MINUTE, 5 * _MINUTE), detectors=detectors, action=action, notify=notify
        )
    )


def demo(seconds: float = 15.0, *, stream: TextIO | None = None) -> Demo:
    """Show what this package does on real work of this machine, in some 15 seconds and with the core install alone.

    Two ways to find a median are measured on the same lists, and one of them a second time. The dashboard shows them
    live; the pairs decide which is better, and that the same code is not; then some calls are held up, and the detector
    notices. In a notebook the work is done in a background thread, below the dashboard; elsewhere the call ends with it
    and prints. It stops by itself and leaves no file, no thread and no default experiment.

    Args:
        seconds: Duration of the work in seconds, at least 1; slow machines take longer for the least number of calls.
        stream: Text stream to print to; None for the dashboard in a notebook, else for the standard output.

    Returns:
        The Demo: its experiments, comparisons and text.

    Raises:
        ConfigError: `seconds` is below 1.

    Examples:
        >>> import io
        >>> import crucible_nb as cr
        >>> found = cr.demo(seconds=1.0, stream=io.StringIO())
        >>> found.experiments["A"].metrics().events >= 300, sorted(found.comparisons), cr.current()
        (True, ['B', 'C'], None)
    """
    checks.number("seconds", seconds, ge=1.0)
    if stream is None and has_widgets():
        return _in_notebook(float(seconds))
    out = sys.stdout if stream is None else stream
    written = 0

    def say(text: str) -> None:
        nonlocal written
        out.write(text[written:])
        out.flush()
        written = len(text)

    found = Demo(say)
    found.run(float(seconds))
    return found


def _in_notebook(seconds: float) -> Demo:
    """Show the dashboard and the story below it, and do the work in a thread: a busy cell would not draw at first."""
    import ipywidgets  # noqa: PLC0415  a terminal needs none
    from IPython.display import display  # noqa: PLC0415

    story = ipywidgets.HTML()
    found = Demo(lambda text: setattr(story, "value", f"<pre>{escape(text)}</pre>"))
    arms = list(found.experiments.values())
    arms[0].dashboard(refresh=0.25, compare=arms[1:])
    display(story)  # type: ignore[no-untyped-call]
    threading.Thread(target=found.run, args=(seconds,), name="crucible-demo", daemon=True).start()
    return found
