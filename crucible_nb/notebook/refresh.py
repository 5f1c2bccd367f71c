"""The refresh thread: looks, sends, and does what the buttons say. It never prints, displays or clears."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import numpy as np

from crucible_nb.errors import LifecycleError
from crucible_nb.notebook import wire
from crucible_nb.notebook.messages import Composer
from crucible_nb.notebook.switch_interval import short_turns

KEYFRAME = 5.0
"""Seconds between two keyframes."""
DEAD = 2.0
"""Seconds between two looks at experiments that nobody writes, and somebody may go on with."""
FORGET = 15.0
"""Seconds after which a view that says nothing is gone, once another one speaks; views speak every 5 s."""
_LEAVING = 0.015  # seconds that a message is given to leave the kernel, by another thread
_RATES, _SHARES = (2, 10), (0.01, 0.04)  # ticks a second that were asked for: the share of a processor they may take
_RESTED = 1.0  # seconds that nobody waits longer for a tick because it is dear, unless it would take
_MOST = 0.04  # more than this share

Send = Callable[[wire.Key | wire.Tick | wire.Trouble, Sequence[bytes]], None]


def rest(cost: float, refresh: float) -> float:
    """Seconds between two ticks: those that were asked for, or more where ticks are dear.

    Whoever is watched should not notice: ten ticks a second take at most 4 % of a processor, two 1 %.

    Args:
        cost: Seconds of a processor that the refresh thread took for a tick.
        refresh: Seconds asked for.

    Examples:
        >>> [round(rest(cost, 0.5), 3) for cost in (0.001, 0.007, 0.02, 0.06)]
        [0.5, 0.7, 1.0, 1.5]
        >>> round(rest(0.006, 0.1), 3)
        0.15
    """
    fair = cost / float(np.interp(1 / refresh, _RATES, _SHARES))
    return max(refresh, min(fair, max(_RESTED, cost / _MOST)))


class Refresher:
    """One daemon thread for one dashboard, while there is something to do.

    It ends with the experiments, and starts again for a moment when a view asks for a keyframe. While nobody can
    see the dashboard it waits for somebody to speak.

    Args:
        composer: Makes the messages.
        send: Takes a message and its buffers to the browser.
        refresh: Seconds between two ticks.
    """

    def __init__(self, composer: Composer, send: Send, refresh: float) -> None:
        self.composer, self.refresh = composer, refresh
        self._send = send
        self._inbox: SimpleQueue[wire.Said] = SimpleQueue()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._views: dict[str, tuple[bool, float]] = {}
        self._closed = False
        self._due = True  # a keyframe is

    def hear(self, said: wire.Said) -> None:
        """Take in what a browser said; called on any thread, returns at once."""
        self._inbox.put(said)
        self._wake.set()
        self.start()

    def start(self) -> None:
        """Have the thread running."""
        with self._lock:
            if not self._closed and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="crucible-dashboard", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread, for good."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(2.0)

    @property
    def running(self) -> bool:
        """Whether the thread is."""
        return self._thread is not None and self._thread.is_alive()

    # -- in the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        sent = -KEYFRAME
        while not self._closed:
            begun, clock = time.thread_time(), time.monotonic()
            self._wake.clear()
            self._attend()
            if self._seen:
                key = self._due or clock - sent >= (KEYFRAME if self._views else 1.0)
                with short_turns():
                    sent = clock if self._turn(key=key) else sent
                    self._wake.wait(_LEAVING)
            if self._settled():
                return
            pause = rest(time.thread_time() - begun, self.refresh)
            pause = max(pause, DEAD) if self.composer.over else pause
            self._wake.wait(pause if self._seen and not self.composer.behind else self._pause())

    def _pause(self) -> float | None:
        return 0.05 if self._seen else None

    def _settled(self) -> bool:
        """Whether the experiments are over and all was said; then nobody may ask between here and the end."""
        if self.composer.dead or not (self.composer.over and self._seen and not self._due and not self.composer.behind):
            return False
        with self._lock:
            if not self._inbox.empty():
                return False
            self._thread = None
            return True

    @property
    def _seen(self) -> bool:
        """Whether anybody sees the dashboard; before a browser has spoken, it may be about to."""
        return not self._views or any(seen for seen, _ in self._views.values())

    def _turn(self, *, key: bool) -> bool:
        """Look and send; returns whether it was a keyframe."""
        composer = self.composer
        over = composer.over
        try:
            with composer.lock:
                composer.look(anew=key)
                ended = composer.over and not over
                message, buffers = composer.key() if key or ended else composer.tick()
                self._send(message, buffers)
        except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures, nor its own thread
            with contextlib.suppress(Exception):
                self._send({"kind": "trouble", "text": f"{type(error).__name__}: {error}"[:300]}, [])
            self._due = False
            return True
        if message["kind"] == "key":
            self._due = False
        return message["kind"] == "key"

    def _attend(self) -> None:
        while not self._inbox.empty():
            said = self._inbox.get()
            if said.get("kind") in ("view", "gone") and "view" in said:
                now = time.monotonic()
                self._views[said["view"]] = (said.get("seen", False), now)
                self._views = {name: state for name, state in self._views.items() if now - state[1] < FORGET}
            self._due |= said.get("hello", False) or said.get("kind") in ("window", "pick")
            self._obey(said)

    def _obey(self, said: wire.Said) -> None:
        if "window" in said:
            self.composer.window = said["window"]
        if "columns" in said:
            self.composer.picked = said["columns"]
        if "verb" in said:
            for reader in self.composer.readers:
                with contextlib.suppress(LifecycleError):  # somebody was faster
                    getattr(reader.experiment, said["verb"])()
