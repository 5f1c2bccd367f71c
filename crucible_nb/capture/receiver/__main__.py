"""The processes of a receiver: one takes bodies into a journal, the other maps them; both end with their parent.

The parent writes one line of settings to the standard input. This process opens the port, and a fork of it answers
senders and does nothing else, so that no sender waits for the mapping of earlier spans. The parent is told the port in
a line. This process ends when its standard input is closed, which the system does when the parent dies; the fork ends
when this process does.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import orjson

from crucible_nb.capture.receiver.board import Board
from crucible_nb.capture.receiver.recording import COUNTED, SpoolRecorder
from crucible_nb.capture.receiver.server import Server
from crucible_nb.capture.receiver.spool import Spool, take_journal
from crucible_nb.errors import ConfigError
from crucible_nb.experiment.attach import attach
from crucible_nb.otel.protobuf import request_class
from crucible_nb.store.lock import Lock

_REST = 0.02  # seconds between two looks for bodies
_WATCH = 1.0  # seconds after which a wake-up that was lost is made up for
_TRIES, _PAUSE = 40, 0.05  # a port is free an instant after the process that had it has ended


def main() -> None:
    """Run until the standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the notebook is not for this process
    settings = orjson.loads(sys.stdin.buffer.readline())
    folder = Path(settings["folder"])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = Lock(folder / "lock")
    taking = take_journal(folder)
    board, spool, (ours, theirs) = Board(), Spool(folder), socket.socketpair()
    server = _server(settings, spool, board, theirs)
    with suppress(ConfigError):  # without the extra, JSON alone is taken
        request_class()  # now, and not while the first sender waits
    gc.freeze()  # what is imported stays: collections would walk over it, and copy its pages for the fork
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries have threads; the fork calls none of those libraries
        child = os.fork()
    if not child:
        lock.forget()
        ours.close()
        _take(server, theirs)
    server.leave()
    theirs.close()
    taking.forget()  # the fork has it
    experiment = attach(settings["handle"], mode="join")
    recorder = SpoolRecorder(folder, experiment, content=bool(settings["content"]), own=spool.number)
    _say({"port": server.port, "taker": child})
    ended = _record(recorder, board, ours)
    ours.close()
    os.waitpid(child, 0)
    if not ended:  # the parent starts another one
        sys.exit("the process that takes bodies died")
    recorder.finish()
    _say(recorder.bodies.news())
    lock.release()


def _say(facts: dict[str, int]) -> None:
    """Tell the parent in one line; one that does not listen is not waited for."""
    os.set_blocking(sys.stdout.fileno(), False)
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(sys.stdout.fileno(), orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE))


def _server(settings: dict[str, Any], spool: Spool, board: Board, channel: socket.socket) -> Server:
    """Open the port; what comes is written to the journal, and the other process is woken."""

    def keep(body: bytes, content_type: str, encoding: str) -> None:
        spool.append(body, content_type, encoding)
        board["kept"] += 1
        if board["asleep"]:
            board["asleep"] = 0
            channel.send(b".")

    def stats() -> dict[str, Any]:
        counts = {name: board[name] for name in COUNTED}
        return {**counts, "pending": board["kept"] - board["recorded"]}

    make = partial(Server, settings["token"], keep, stats, int(settings["port"]))
    for _ in range(_TRIES if settings["port"] else 0):
        with suppress(OSError):
            return make()
        time.sleep(_PAUSE)
    return make()


def _take(server: Server, channel: socket.socket) -> NoReturn:
    """Answer senders until the other process closes its end of the channel, or dies."""
    try:
        for stream in (sys.stdin, sys.stdout):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream.fileno())  # the parent is not kept waiting for these
        server.begin()
        channel.recv(1)
        server.end()
    finally:
        os._exit(0)


def _record(recorder: SpoolRecorder, board: Board, channel: socket.socket) -> bool:
    """Record what comes; return True when the standard input has ended, False when the other process died."""
    stdin = sys.stdin.fileno()
    while True:
        seen, busy = board["kept"], recorder.step()
        for name, number in recorder.bodies.counts.items():
            board[name] = number
        board["recorded"] = recorder.recorded
        if news := recorder.bodies.news():
            _say(news)
        board["asleep"] = not busy
        rest = _REST if busy else _WATCH if board["kept"] == seen else 0.0
        ready = select.select([stdin, channel], [], [], rest)[0]
        board["asleep"] = 0
        if stdin in ready and not os.read(stdin, 4096):
            return True
        if channel in ready and not channel.recv(4096):
            return False


if __name__ == "__main__":
    main()
