"""Signals wait for the end of a block, but not for ever."""

from __future__ import annotations

import signal

import pytest

from crucible_nb.utils import interrupts
from crucible_nb.utils.interrupts import unbroken


def test_a_signal_waits_for_the_end_of_the_block() -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), unbroken():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_sent_again_much_later_is_handled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: now)
    reached = []
    with pytest.raises(KeyboardInterrupt) as raised, unbroken():
        signal.raise_signal(signal.SIGINT)
        now = interrupts.PATIENCE - 0.1
        signal.raise_signal(signal.SIGINT)
        reached.append("waits")
        now = interrupts.PATIENCE
        signal.raise_signal(signal.SIGINT)
        reached.append("waits for ever")
    assert reached == ["waits"]
    assert raised.value.__context__ is None  # handled once
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
