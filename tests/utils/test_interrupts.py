"""Signals wait for the end of a block, but not for ever."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from crucible_nb.utils import interrupts
from crucible_nb.utils.interrupts import let_pass, unbroken


@pytest.fixture
def alarm() -> Iterator[Callable[[Any], Any]]:
    """Set the handler of SIGALRM."""
    before = signal.getsignal(signal.SIGALRM)
    yield partial(signal.signal, signal.SIGALRM)
    signal.signal(signal.SIGALRM, before)


def late(number: int, frame: object) -> None:
    raise TimeoutError


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


def test_every_delayed_signal_is_handled_though_the_first_raises(alarm: Callable[[Any], Any]) -> None:
    alarm(late)
    with pytest.raises(KeyboardInterrupt) as raised, unbroken():
        signal.raise_signal(signal.SIGALRM)
        signal.raise_signal(signal.SIGINT)
    assert isinstance(raised.value.__context__, TimeoutError)
    assert signal.getsignal(signal.SIGALRM) is late


def test_a_handler_set_within_the_block_stays(alarm: Callable[[Any], Any]) -> None:
    alarm(signal.default_int_handler)
    with unbroken():
        alarm(late)
    assert signal.getsignal(signal.SIGALRM) is late


def test_a_block_whose_end_is_cut_short_delays_nothing(
    alarm: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(self: unbroken) -> None:
        raise KeyboardInterrupt

    alarm(late)
    before, block = signal.getsignal(signal.SIGINT), unbroken()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), block:
        patch.setattr(unbroken, "_restore", cut_short)
    with pytest.raises(TimeoutError):
        signal.raise_signal(signal.SIGALRM)
    with pytest.raises(TimeoutError), unbroken():  # and another block works as ever
        signal.raise_signal(signal.SIGALRM)
    block._restore()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forks with threads
def test_a_process_forked_by_another_thread_has_its_handlers(alarm: Callable[[Any], Any]) -> None:
    alarm(late)
    status = []

    def fork() -> None:
        child = os.fork()
        if not child:
            os._exit(signal.getsignal(signal.SIGALRM) is not late)
        status.append(os.waitpid(child, 0)[1])

    with unbroken():
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    assert status == [0]
    assert signal.getsignal(signal.SIGALRM) is late


class Late:
    def method(self, number: int, frame: object) -> None:
        raise TimeoutError

    def __call__(self, *given: object) -> None:
        raise TimeoutError


@pytest.mark.parametrize("handler", [late, Late().method, Late(), partial(Late.method, Late())])
@pytest.mark.parametrize("delayed", [False, True])
def test_what_a_handler_raises_passes(alarm: Callable[[Any], Any], handler: Any, *, delayed: bool) -> None:
    alarm(handler)
    with pytest.raises(TimeoutError):
        try:
            if delayed:
                with unbroken():
                    signal.raise_signal(signal.SIGALRM)
            else:
                signal.raise_signal(signal.SIGALRM)
        except OSError as error:
            let_pass(error)
    with pytest.raises(TimeoutError):
        try:
            try:
                signal.raise_signal(signal.SIGALRM)
            except OSError as error:
                raise ValueError("converted") from error
        except ValueError as error:
            let_pass(error)


def test_other_exceptions_do_not_pass() -> None:
    try:
        late(14, None)
    except TimeoutError as error:
        let_pass(error)
