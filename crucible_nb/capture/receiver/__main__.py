"""The process of a receiver: keeps bodies, maps them, and ends with its parent.

The parent writes one line of settings to the standard input; this process answers with a line that names its port, and
ends when the standard input is closed, which the system does when the parent dies.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import orjson

from crucible_nb.capture.receiver.recording import SpoolRecorder
from crucible_nb.capture.receiver.server import Server
from crucible_nb.capture.receiver.spool import Spool
from crucible_nb.experiment.attach import attach
from crucible_nb.store.lock import Lock

_REST = 0.02  # seconds between two looks for bodies


def main() -> None:
    """Run until the standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the notebook is not for this process
    sys.setswitchinterval(0.001)  # a request waits for the mapping no longer than this
    settings = orjson.loads(sys.stdin.buffer.readline())
    folder = Path(settings["folder"])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = Lock(folder / "lock")
    experiment = attach(settings["handle"], mode="join")
    recorder = SpoolRecorder(folder, experiment, content=bool(settings["content"]))
    spool, ended, more = Spool(folder), threading.Event(), threading.Event()

    def keep(body: bytes, content_type: str, encoding: str) -> None:
        if ended.is_set():
            raise OSError("the receiver is ending")
        spool.append(body, content_type, encoding)
        server.gate.count("kept")
        more.set()

    def stats() -> dict[str, Any]:
        return {**recorder.bodies.counts, "pending": server.gate.counts["kept"] - seen[0]}

    seen = [0]
    server = Server(settings["token"], keep, stats, int(settings["port"]))

    def record() -> None:
        while not ended.is_set():
            more.wait(1.0)
            more.clear()
            before = server.gate.counts["kept"]
            while recorder.step():
                pass
            seen[0] = before
            ended.wait(_REST)

    recording = threading.Thread(target=record, name="crucible-record", daemon=True)
    recording.start()
    server.begin()
    sys.stdout.write(orjson.dumps({"port": server.port}).decode() + "\n")
    sys.stdout.flush()
    while sys.stdin.buffer.readline():
        pass
    ended.set()
    more.set()
    server.end()
    recording.join()
    recorder.finish()
    lock.release()


if __name__ == "__main__":
    main()
