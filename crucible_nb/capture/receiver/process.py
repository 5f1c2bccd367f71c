"""A receiver of an experiment with a store: a process of its own, tied to this one by a pipe."""

from __future__ import annotations

import http.client
import secrets
import select
import subprocess
import sys
import threading
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any

import orjson

from crucible_nb.capture.receiver.gate import STATS
from crucible_nb.capture.receiver.left import FOLDER, record_left
from crucible_nb.capture.reporting import report
from crucible_nb.errors import StoreError
from crucible_nb.experiment.experiment import Experiment, intake_of, log_of
from crucible_nb.utils.threads import TICKER

_PATIENCE = 60.0  # seconds until the process has to serve, and until it has to be done


class ProcessReceiver:
    """Starts the process, restarts it if it dies, and records what it has left.

    Args:
        experiment: Where the events go; it has a store.
        token, port: As for `Server`.
        content: Whether to keep the text of messages.

    Attributes:
        port: Its port.
        taker: Process id of the part that takes bodies.
        restarts: How often it was started again.
    """

    def __init__(self, experiment: Experiment, token: str, port: int, *, content: bool) -> None:
        self._experiment, self._token, self._content = experiment, token, content
        self._folder = log_of(experiment).folder_for("listen").path / FOLDER / secrets.token_hex(8)
        self.alive = True
        self._known: dict[str, Any] = {}
        self.restarts = 0
        self._hearing = threading.Lock()
        self._begin(port)
        TICKER.add(self.tick)

    def _begin(self, port: int) -> None:
        self._errors = TemporaryFile()  # noqa: SIM115  a pipe that nobody reads would stop the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crucible_nb.capture.receiver"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0, start_new_session=True,
        )  # fmt: skip
        settings = {
            "folder": str(self._folder), "handle": self._experiment.handle, "token": self._token, "port": port,
            "content": self._content,
        }  # fmt: skip
        said = b""
        with suppress(BrokenPipeError):
            self._input.write(orjson.dumps(settings) + b"\n")
            self._input.flush()
            output: Any = self._process.stdout
            ready, _, _ = select.select([output], [], [], _PATIENCE)
            said = output.readline() if ready else b""
        if not said:
            self._process.kill()
            self._process.wait()
            self._errors.seek(0)
            lines = self._errors.read().decode("utf-8", "replace").strip().splitlines() or ["no answer"]
            self._close_pipes()
            self.alive = False
            raise StoreError(f"cannot listen: the process of the receiver ended: {lines[-1][:300]}")
        answer = orjson.loads(said)
        self.port, self.taker = int(answer["port"]), int(answer["taker"])

    @property
    def _input(self) -> Any:
        return self._process.stdin

    @property
    def pid(self) -> int:
        """Process id of the part that maps bodies."""
        return self._process.pid

    def stats(self) -> dict[str, Any]:
        """Return the counts so far, of the process that runs now; the last known ones while there is none."""
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", STATS, headers={"Authorization": f"Bearer {self._token}"})
                self._known = orjson.loads(connection.getresponse().read())
            finally:
                connection.close()
        return {**self._known, "restarts": self.restarts}

    def tick(self) -> bool:
        """Start the process again if it died; return whether to be called again."""
        self._hear()
        if self.alive and self._process.poll() is not None and intake_of(self._experiment).running:
            self._close_pipes()
            self.restarts += 1
            try:
                self._begin(self.port)
            except (StoreError, OSError) as error:
                self.alive = False
                intake_of(self._experiment).log.stream.problems.report("errors", f"the receiver died: {error}")
        return self.alive

    def _hear(self) -> None:
        """Report what the process has counted, one line of JSON each time."""
        output: Any = self._process.stdout
        with self._hearing:
            while not output.closed and select.select([output], [], [], 0)[0]:
                line = output.readline()
                if not line:
                    break
                report(self._experiment, orjson.loads(line))

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def stop(self) -> None:
        """Take nothing more, and wait until everything is recorded."""
        if not self.alive:
            return
        self.alive = False
        self.stats()
        with suppress(OSError):
            self._input.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._hear()
        self._close_pipes()
        if self._folder.exists():
            record_left(self._experiment)
