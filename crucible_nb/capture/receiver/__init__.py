"""`exp.listen`: a receiver of OTLP/HTTP for the spans of other processes."""

from __future__ import annotations

import secrets
import time
from types import TracebackType
from typing import Any

from crucible_nb.capture.receiver.left import record_left, show_left
from crucible_nb.capture.receiver.memory import MemoryReceiver
from crucible_nb.capture.receiver.process import ProcessReceiver
from crucible_nb.errors import LifecycleError
from crucible_nb.experiment.attach import ON_READ, ON_RESUME
from crucible_nb.experiment.experiment import Experiment, intake_of, log_of
from crucible_nb.experiment.extensions import register
from crucible_nb.utils import checks
from crucible_nb.utils.environment import keeps_content

_LONGEST = 0.1  # seconds between two looks whether everything is recorded

ON_RESUME.append(record_left)
ON_READ.append(show_left)


class Receiver:
    """A receiver of spans, until `stop()` or the end of the experiment.

    Attributes:
        endpoint: URL for exporters, e.g. "http://127.0.0.1:40123".
        headers: Headers that exporters have to send.
        env: Environment variables for the processes that send, for OpenTelemetry and for Langfuse.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     with exp.listen() as rx:  # doctest: +ELLIPSIS
        ...         rx.env["OTEL_EXPORTER_OTLP_ENDPOINT"] == rx.endpoint, rx.stats["bodies"]
        export OTEL_EXPORTER_OTLP_ENDPOINT=...
        (True, 0)
    """

    def __init__(self, serving: MemoryReceiver | ProcessReceiver, token: str) -> None:
        self._serving = serving
        self.endpoint = f"http://127.0.0.1:{serving.port}"
        self.headers = {"Authorization": f"Bearer {token}"}
        self.env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{token}",
            "LANGFUSE_HOST": self.endpoint,
            "LANGFUSE_PUBLIC_KEY": "crucible",
            "LANGFUSE_SECRET_KEY": token,
        }

    @property
    def stats(self) -> dict[str, Any]:
        """Counts so far.

        requests, bodies and bytes (answered with 200, so in the journal), unauthorized (wrong tokens), foreign (other
        hosts, web pages), unknown_path, unreadable, too_large, unavailable (answered with 503), spans (recorded),
        repeated, nested, twins, pending (bodies that are not recorded yet), alive.
        """
        return {**self._serving.stats(), "alive": self._serving.alive}

    def wait(self, timeout: float = 10.0) -> bool:
        """Wait until everything that was answered is recorded; return whether it is.

        Args:
            timeout: Maximum time to wait, seconds.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp, exp.listen() as rx:  # doctest: +ELLIPSIS
            ...     rx.wait()
            export OTEL_EXPORTER_OTLP_ENDPOINT=...
            True
        """
        end, pause = time.monotonic() + checks.number("timeout", timeout, ge=0), 0.005
        while self._serving.stats().get("pending", 1):
            if time.monotonic() > end:
                return False
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)
        return True

    def stop(self) -> None:
        """Take nothing more, and record everything that was answered; a second time it does nothing.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:  # doctest: +ELLIPSIS
            ...     rx = exp.listen()
            ...     rx.stop()
            ...     rx.stats["alive"]
            export OTEL_EXPORTER_OTLP_ENDPOINT=...
            False
        """
        self._serving.stop()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Receiver at {self.endpoint}, {'listening' if self._serving.alive else 'stopped'}>"


@register("listen")
def listen(self: Experiment, port: int = 0) -> Receiver:
    """Receive OpenTelemetry spans of other processes of this machine by OTLP/HTTP, and print what they need.

    With a store the receiver is a process of its own: it writes each body to a journal before it answers, so what was
    answered survives the end of both processes, and the cells that run here cost it nothing. Without a store it is a
    thread. It listens on loopback only and wants a token; other hosts send through a tunnel or a collector.

    Args:
        port: Port on 127.0.0.1; 0 for any free one.

    Returns:
        The Receiver, with `endpoint`, `headers`, `env`, `stats`, `stop()`.

    Raises:
        LifecycleError: The experiment is not recorded by this process, or has ended.
        StoreError: The receiver cannot start.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:  # doctest: +ELLIPSIS
        ...     rx = exp.listen()
        export OTEL_EXPORTER_OTLP_ENDPOINT=...
    """
    number = checks.whole("port", port)
    intake, log = intake_of(self), log_of(self)
    if not log.records or log.ended:
        raise LifecycleError(f"listen(): {self.name!r} is {self.status!r} here; expected one that this process records")
    token = secrets.token_hex(16)
    make = MemoryReceiver if log.location is None else ProcessReceiver
    serving = make(self, token, number, content=keeps_content())
    intake.closers.append(serving.stop)
    receiver = Receiver(serving, token)
    names = [name for name in receiver.env if name.startswith("OTEL")]
    print("\n".join(f"export {name}={receiver.env[name]}" for name in names))  # noqa: T201
    return receiver
