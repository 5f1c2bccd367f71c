"""A worker process, `python -m crucible_nb.datasets.worker`: reads questions and units, answers with states."""

from __future__ import annotations

import os
import pickle
import sys

from crucible_nb.datasets.processes import dumps, receive, send
from crucible_nb.datasets.state import measure
from crucible_nb.errors import CrucibleError, StoreError


def main() -> None:
    """Answer until the pipe of the parent ends; what is printed goes to the standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    questions = sys.stdin.buffer
    try:
        while True:
            spec, unit = (pickle.loads(receive(questions)) for _ in range(2))
            send(answers, _answer(spec, unit))
    except (EOFError, BrokenPipeError):
        return


def _answer(spec: object, unit: object) -> bytes:
    try:
        return dumps(measure(spec, unit))  # type: ignore[arg-type]
    except CrucibleError as error:
        return dumps(type(error)(str(error)))  # without its cause, which may not be sent
    except Exception as error:  # noqa: BLE001  of a condition of the user, raised in the parent
        return dumps(_sendable(error))


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  any class may refuse
        return StoreError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    main()
