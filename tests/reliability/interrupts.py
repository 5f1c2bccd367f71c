"""Signal handlers that raise, at any place of any call: nothing hangs, no lock stays held, nothing is lost.

    python -m tests.reliability.interrupts --interrupts 2000 --write     # the table stands in docs/reliability.md

Half of the signals are sent at the n-th instruction that the package executes in a call, the others by timers. Python
itself decides at which of the next instructions it runs the handler, as for any signal. Two other threads record all
the time, and journals are sealed every few thousand events.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from types import FrameType
from typing import Any

import crucible_nb as cr
from crucible_nb.store import writer
from tests.reliability.interrupted import CALLS, Call, held_locks

ROOT = Path(__file__).parents[2]
PACKAGE = str(Path(cr.__file__).parent)
SIGNALS = (signal.SIGINT, signal.SIGALRM, signal.SIGTERM)
STUCK = 60.0
"""Seconds after which a call counts as hanging."""


class Interrupted(BaseException):
    """Raised by a handler, as KeyboardInterrupt and SystemExit are."""


class Cancelled(Exception):
    """Raised by a handler, as the errors of timeout decorators are."""


RAISED = (Interrupted, Cancelled, TimeoutError)


@dataclass
class Result:
    """What was found in the calls of one kind."""

    by_instruction: int = 0
    by_timer: int = 0
    places: set[str] = field(default_factory=set)
    hangs: int = 0
    held: int = 0  # locks, and handlers that were not put back
    swallowed: int = 0  # exceptions of a handler that did not reach the caller
    lost: int = 0  # acknowledged events that are not there, or are there twice
    wrong: Counter = field(default_factory=Counter)  # anything else

    @property
    def clean(self) -> bool:
        return not (self.hangs or self.held or self.swallowed or self.lost or self.wrong)


# -- sending a signal --------------------------------------------------------------------------------------------------

_send = getattr(ctypes.PyDLL(None), "raise")
_send.restype = None
_advance = ctypes.pythonapi.PyIter_Next
_advance.argtypes, _advance.restype = [ctypes.py_object] * 4, ctypes.py_object


class AtInstruction:
    """Sends a signal at the n-th instruction of the package within a block.

    The trace function that sends it is C, so that Python runs the handler in the traced code, not in the tracer.

    Args:
        number: The signal; None only counts.
        place: n.
    """

    def __init__(self, number: int | None, place: int) -> None:
        self.place, self.count = place, 0
        once = chain(map(_send, [number] if number else []), repeat(None))
        self._shoot = partial(_advance, once)

    def __enter__(self) -> AtInstruction:
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)

    def _enter_frame(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE) or self.count >= self.place:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._count

    def _count(self, frame: FrameType, event: str, arg: Any) -> Any:
        self.count += event == "opcode"
        return self._shoot if self.count >= self.place else self._count


class AfterSeconds:
    """Sends a signal after a time: SIGALRM by the timer of the system, others from a thread."""

    def __init__(self, number: int, seconds: float) -> None:
        self.number, self.seconds = number, seconds
        self._timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
        self._timer.daemon = True

    def __enter__(self) -> AfterSeconds:
        if self.number == signal.SIGALRM:
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
        else:
            self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._timer.cancel()


class Handler:
    """A handler that raises; it notes where it was called, and whether Python dropped what it raised."""

    def __init__(self) -> None:
        self.raises: type[BaseException] = Interrupted
        self.place, self.dropped = "", False
        sys.unraisablehook = self._unraisable
        for number in SIGNALS:
            signal.signal(number, self)

    def begin(self, raises: type[BaseException]) -> None:
        """Raise this from now on."""
        self.raises, self.place, self.dropped = raises, "", False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        sys.settrace(None)
        assert frame is not None
        code = frame.f_code
        self.place = f"{code.co_filename}:{code.co_qualname}:{frame.f_lasti}"
        raise self.raises

    def _unraisable(self, what: Any) -> None:
        if isinstance(what.exc_value, self.raises):
            self.dropped = True  # in a destructor: Python cannot raise it
        else:
            sys.__unraisablehook__(what)

    @property
    def in_place(self) -> bool:
        return all(signal.getsignal(number) is self for number in SIGNALS)


# -- one process -------------------------------------------------------------------------------------------------------


class Trial:
    """Interrupts calls of one kind."""

    def __init__(self, call: Call, handler: Handler, seed: int) -> None:
        self.call, self.handler, self.draw = call, handler, random.Random(seed)
        self.result = Result()
        self.length = 0  # instructions of a whole call

    def run(self, interrupts: int) -> Result:
        self.call.begin()
        for turn in range(interrupts):
            faulthandler.dump_traceback_later(STUCK, exit=True)
            while not (self._at_instruction(turn) if turn % 2 else self._after_seconds(turn)):
                pass
            self.result.held += held_locks(self.call.locks()) + (not self.handler.in_place)
            self.call.settle()
        faulthandler.dump_traceback_later(2 * STUCK, exit=True)
        lost, wrong = self.call.end()
        faulthandler.cancel_dump_traceback_later()
        self.result.lost += lost
        self.result.wrong += wrong
        return self.result

    def _at_instruction(self, turn: int) -> bool:
        """Send a signal at an instruction of one call; return whether one came."""
        if not self.length:
            counted = AtInstruction(None, sys.maxsize)
            self._interrupted(counted, turn)
            self.call.settle()
            self.length = counted.count
        place = AtInstruction(SIGNALS[turn // 2 % len(SIGNALS)], self.draw.randint(1, self.length))
        came = self._interrupted(place, turn)
        if not came:
            self.length = place.count
            self.call.settle()
        self.result.by_instruction += came
        return came

    def _after_seconds(self, turn: int) -> bool:
        """Send a signal after a random time, during calls without end."""
        seconds = 0.0002 + self.draw.random() * self.call.seconds
        came = self._interrupted(AfterSeconds(SIGNALS[turn // 2 % len(SIGNALS)], seconds), turn, endless=True)
        self.result.by_timer += came
        return came

    def _interrupted(self, place: AtInstruction | AfterSeconds, turn: int, *, endless: bool = False) -> bool:
        handler = self.handler
        handler.begin(RAISED[turn % len(RAISED)])
        reached = False
        try:
            with place:
                self.call()
                while endless and not handler.place:
                    self.call.again()
                    self.call()
        except RAISED:
            reached = True
        if handler.place:
            self.result.places.add(handler.place)
            if not (reached or handler.dropped):
                self.result.swallowed += 1
                print("swallowed:", handler.raises.__name__, handler.place, file=sys.stderr)
        return bool(handler.place)


def interrupt(kinds: list[str], interrupts: int, seed: int) -> None:
    """Interrupt calls of these kinds in this process; print the results as JSON."""
    warnings.simplefilter("ignore")
    writer.SEAL_EVENTS = 3000
    handler = Handler()
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            found = Trial(CALLS[kind](Path(folder)), handler, seed).run(interrupts)
        facts = {**vars(found), "places": sorted(found.places), "kind": kind}
        print(json.dumps(facts), flush=True)


# -- all ---------------------------------------------------------------------------------------------------------------


def run(kinds: list[str], interrupts: int, seed: int = 0) -> dict[str, Result]:
    """Interrupt so many calls of each kind, in a process of their own; what it does not report hangs."""
    command = [
        sys.executable,
        "-m",
        "tests.reliability.interrupts",
        "--one",
        ",".join(kinds),
        str(interrupts),
        str(seed),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    print(done.stderr, end="", file=sys.stderr)
    results = {}
    for line in done.stdout.splitlines():
        facts = json.loads(line)
        kind = facts.pop("kind")
        results[kind] = Result(**{**facts, "places": set(facts["places"]), "wrong": Counter(facts["wrong"])})
    missing = [kind for kind in kinds if kind not in results]
    if missing and "Timeout (" not in done.stderr:  # of faulthandler
        raise AssertionError(f"{missing[0]}: the process ended by itself")
    return {**results, **{kind: Result(hangs=1) for kind in missing[:1]}}


def shares(kinds: list[str], interrupts: int) -> Iterator[tuple[str, int]]:
    """Divide the interrupts among the calls: those that take long get fewer."""
    left = sum(CALLS[kind].share for kind in kinds)
    for kind in kinds:
        share = round(interrupts * CALLS[kind].share / left)
        interrupts, left = interrupts - share, left - CALLS[kind].share
        yield kind, share


HEAD = (
    "| call | by instruction | by timer | places | hangs | locks held | exceptions swallowed | events lost |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
)


def row(name: str, found: Result) -> str:
    numbers = (found.by_instruction, found.by_timer, len(found.places), found.hangs, found.held, found.swallowed)
    return f"| {name} | " + " | ".join(f"{number:,}" for number in (*numbers, found.lost)) + " |"


def total(results: list[Result]) -> Result:
    whole = Result()
    for one in results:
        whole.by_instruction += one.by_instruction
        whole.by_timer += one.by_timer
        whole.places |= one.places
        whole.hangs += one.hangs
        whole.held += one.held
        whole.swallowed += one.swallowed
        whole.lost += one.lost
        whole.wrong += one.wrong
    return whole


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--interrupts", type=int, default=2000)
    parser.add_argument("--kinds", default=",".join(CALLS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        kinds, interrupts, seed = args.one
        interrupt(kinds.split(","), int(interrupts), int(seed))
        return
    kinds, lines, results, begin = args.kinds.split(","), list(HEAD), [], time.monotonic()
    for i, (kind, share) in enumerate(shares(kinds, args.interrupts)):
        found = run([kind], share, args.seed + i)[kind]
        results.append(found)
        lines.append(row(f"`{kind}`", found))
        print(lines[-1], dict(found.wrong) or "", flush=True)
    lines.append(row("all", total(results)))
    print(lines[-1], f"{time.monotonic() - begin:.0f} s")
    if args.write:
        from tests.reliability.page import put

        put("interrupts", "\n".join(lines))


if __name__ == "__main__":
    main()
