"""The refresh thread of a dashboard: reads experiments, sends messages, applies button clicks.

It never prints, displays or clears.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from crucible_nb.errors import LifecycleError
from crucible_nb.notebook import wire
from crucible_nb.notebook.messages import Composer
from crucible_nb.notebook.switch_interval import short_switch_interval

KEYFRAME_INTERVAL = 5.0
"""Seconds between two keyframes."""
DEAD_INTERVAL = 2.0
"""Seconds between two reads of experiments whose process has ended and which may be resumed."""
VIEW_TIMEOUT = 15.0
"""Seconds without a message after which a view is dropped, once another one sends; views send every 5 s."""
_KEYFRAME_BYTES = 15_000  # of a keyframe that comes at that interval; a larger one comes less often
_SEND_TIME = 0.015  # seconds another thread gets to send a message from the kernel
_TICK_RATES, _CPU_SHARES = (2, 10), (0.01, 0.04)  # requested ticks per second: the share of a CPU they may use
_MAX_PAUSE = 1.0  # seconds an expensive tick may delay the next one, unless it would use
_MAX_CPU_SHARE = 0.04  # more than this share of a CPU

_CHOICES = ("window", "pick", "by", "axis", "span")  # messages after which the page needs a keyframe

_PUSH_INTERVAL = 4.0  # seconds between two times that the code is sent unasked

Send = Callable[[wire.Keyframe | wire.Tick | wire.Tables | wire.ShownTrace | wire.Trouble, Sequence[bytes]], None]


def tick_pause(cost: float, refresh: float) -> float:
    """Return the seconds between two ticks: as requested, or more where ticks are expensive.

    The measured code should not slow down: ten ticks per second use at most 4 % of a CPU, two use 1 %.

    Args:
        cost: CPU seconds that the refresh thread used for a tick.
        refresh: Seconds requested.

    Examples:
        >>> [round(tick_pause(cost, 0.5), 3) for cost in (0.001, 0.007, 0.02, 0.06)]
        [0.5, 0.7, 1.0, 1.5]
        >>> round(tick_pause(0.006, 0.1), 3)
        0.15
    """
    fair = cost / float(np.interp(1 / refresh, _TICK_RATES, _CPU_SHARES))
    return max(refresh, min(fair, max(_MAX_PAUSE, cost / _MAX_CPU_SHARE)))


class Refresher:
    """One daemon thread per dashboard, running while there is something to send.

    It ends when all experiments have ended, and starts again for a moment when a view requests a keyframe. While no
    view is visible it waits for a message from the browser.

    Args:
        composer: Builds the messages.
        send: Callable (message, buffers) that sends to the browser.
        refresh: Seconds between two ticks.
        send_code: Callable that sends the program of the page.
        pushes: How often the program is sent before a page was heard.
    """

    def __init__(
        self,
        composer: Composer,
        send: Send,
        refresh: float,
        send_code: Callable[[], None] | None = None,
        pushes: int = 0,
    ) -> None:
        self.composer, self.refresh = composer, refresh
        self._send, self._send_code, self._pushes, self._next_push = send, send_code, pushes, 0.0
        self._inbox: SimpleQueue[wire.BrowserMessage] = SimpleQueue()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._views: dict[str, tuple[bool, float]] = {}  # by name: whether it is visible, time of its last message
        self._closed = False
        self._keyframe_due = True
        self._keyframe_bytes = 0

    def on_message(self, message: wire.BrowserMessage) -> None:
        """Queue a message from the browser; called on any thread, returns at once."""
        self._inbox.put(message)
        self._wake.set()
        self.start()

    def start(self) -> None:
        """Start the thread unless it is running."""
        with self._lock:
            if not self._closed and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="crucible-dashboard", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread; it cannot be started again."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(2.0)

    @property
    def running(self) -> bool:
        """Whether the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    # -- in the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        sent = -KEYFRAME_INTERVAL
        while not self._closed:
            cpu, clock = time.thread_time(), time.monotonic()
            self._wake.clear()
            self._drain_inbox()
            self._push_code(clock)
            if self._is_visible:
                key = self._keyframe_due or clock - sent >= (self._keyframe_interval if self._views else 1.0)
                with short_switch_interval():
                    sent = clock if self._send_update(key=key) else sent
                    self._wake.wait(_SEND_TIME)
            if self._is_finished():
                return
            pause = tick_pause(time.thread_time() - cpu, self.refresh)
            pause = max(pause, DEAD_INTERVAL) if self.composer.all_ended else pause
            self._wake.wait(pause if self._is_visible and not self.composer.has_backlog else self._idle_timeout())

    @property
    def _keyframe_interval(self) -> float:
        """Seconds between two keyframes, so that many groups or arms add a bounded number of bytes to a tick."""
        return KEYFRAME_INTERVAL * max(1.0, self._keyframe_bytes / _KEYFRAME_BYTES)

    def _idle_timeout(self) -> float | None:
        return 0.05 if self._is_visible else None

    def _is_finished(self) -> bool:
        """Whether the experiments have ended and everything is sent; the next message then starts a new thread."""
        composer = self.composer
        all_sent = composer.all_ended and self._is_visible and not self._keyframe_due and not composer.has_backlog
        if composer.any_dead or not all_sent:
            return False
        with self._lock:
            if not self._inbox.empty():
                return False
            self._thread = None
            return True

    @property
    def _is_visible(self) -> bool:
        """Whether a view is visible; True before the first message, since a view may be about to open."""
        return not self._views or any(visible for visible, _ in self._views.values())

    def _send_update(self, *, key: bool) -> bool:
        """Read the experiments and send a message; return whether it was a keyframe."""
        composer = self.composer
        had_ended = composer.all_ended
        try:
            with composer.lock:
                composer.update(with_metrics=key)
                ends_now = composer.all_ended and not had_ended
                message, buffers = composer.keyframe() if key or ends_now else composer.tick()
                self._send(message, buffers)
                tables = composer.tables(always=self._keyframe_due)
                if tables is not None:
                    self._send(tables, [])
        except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures, nor its own thread
            self._tell(error)
            self._keyframe_due = False
            return True
        if message["kind"] == "key":
            self._keyframe_due, self._keyframe_bytes = False, sum(map(len, buffers))
        return message["kind"] == "key"

    def _drain_inbox(self) -> None:
        while not self._inbox.empty():
            message = self._inbox.get()
            if message.get("kind") in ("view", "gone") and "view" in message:
                now = time.monotonic()
                self._views[message["view"]] = (message.get("seen", False), now)
                self._views = {name: view for name, view in self._views.items() if now - view[1] < VIEW_TIMEOUT}
            self._keyframe_due |= message.get("hello", False) or message.get("kind") in _CHOICES
            try:
                self._apply(message)
            except Exception as error:  # noqa: BLE001  as above
                self._tell(error)

    def _tell(self, error: Exception) -> None:
        with contextlib.suppress(Exception):
            self._send({"kind": "trouble", "text": f"{type(error).__name__}: {error}"[:300]}, [])

    def _send_trace(self, trace: str, arm: int) -> None:
        """Send a trace of an arm, which `exp.trace` draws."""
        for state in self.composer.states[arm : arm + 1]:
            experiment: Any = state.experiment  # cr.capture gives it the method
            self._send({"kind": "trace", "html": experiment.trace(trace)._repr_html_()}, [])

    def _push_code(self, now: float) -> None:
        """Send the code unasked while no page is heard: before ipykernel 7.1 a busy kernel hears none."""
        if self._send_code is not None and self._pushes and not self._views and now >= self._next_push:
            self._send_code()
            self._pushes -= 1
            self._next_push = now + _PUSH_INTERVAL

    def _apply(self, message: wire.BrowserMessage) -> None:
        if message.get("kind") == "code" and self._send_code is not None:
            self._send_code()
        with self.composer.lock:
            self.composer.choices.apply(message)
        if "trace" in message:
            self._send_trace(message["trace"], message.get("arm", 0))
        if "verb" in message:
            states = self.composer.states
            for state in states[message["arm"] :][:1] if "arm" in message else states:
                with contextlib.suppress(LifecycleError):  # the status may have changed since the click
                    getattr(state.experiment, message["verb"])()
