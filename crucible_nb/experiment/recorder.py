"""`record()`: write an event to the journal and stage it, with as few bytecodes as possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import ENOSPC
from typing import Any, Protocol
from zlib import adler32

import orjson

from crucible_nb.events.scalars import PLAIN
from crucible_nb.events.staging import merged, plain_cells, plain_fields
from crucible_nb.store import syscalls
from crucible_nb.store.journal import Journal
from crucible_nb.store.lines import STRICT, frame_line
from crucible_nb.store.redaction import Redaction
from crucible_nb.store.row_codec import encode_row
from crucible_nb.utils.interrupts import let_pass, unbroken
from crucible_nb.utils.problems import Problems


class Recorder(Protocol):
    """Type of `exp.record`."""

    # the signature of `record` below, which carries the documentation

    def __call__(
        self,
        event: str,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        latency_ms: float | None = None,
        cost_usd: float | None = None,
        success: bool | None = None,
        model: str | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        **fields: Any,
    ) -> bool: ...


def make_recorder(  # noqa: C901, PLR0915  every call saved here is saved at every event
    staged: list[Any],
    now: Callable[[], int],
    admit: Callable[[], bool],
    problems: Problems,
    journal: Journal | None = None,
    redaction: Redaction | None = None,
) -> tuple[Recorder, Callable[[int], None]]:
    """Make a `record` that appends to `staged`.

    A closure, because its names are looked up faster than attributes. One flat list takes the cells of all rows:
    adding a tuple to it is atomic, and leaves nothing behind for the garbage collector to count.

    Args:
        staged: Flat list of rows of WIDTH cells; another thread takes rows from it.
        now: Clock in UTC nanoseconds. It is read before the gate, so that no event is later than a pause.
        admit: Called when `staged` has reached the limit; returns whether to collect the event.
        problems: Counts of what went wrong.
        journal: Journal to which events are written before they are staged; None: memory only.
        redaction: Removes secrets before events are written.

    Returns:
        `record`, and a function that sets the limit; with 0 every event calls `admit`.
    """
    limit = 0
    dumps, strict, direct = orjson.dumps, STRICT, None
    clean = None if redaction is None else redaction.fields
    if journal is not None:
        lock = journal.lock
        if journal.durability == "os":
            direct = syscalls.system().write

    def set_limit(cells: int) -> None:
        nonlocal limit
        limit = cells

    def record(  # noqa: C901, PLR0911, PLR0912, PLR0915
        event: str,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        latency_ms: float | None = None,
        cost_usd: float | None = None,
        success: bool | None = None,
        model: str | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        **fields: Any,
    ) -> bool:
        """Record one event; never raises, but what a signal handler raises passes through.

        Args:
            event: Name of the event, e.g. "llm.request"; see `cr.events` for standard names.
            values: More columns as a mapping, for names that are no identifiers: {"train/loss": 0.3}.
            latency_ms: Duration in milliseconds.
            cost_usd: Cost in USD; when not given, from tokens and model through the price table.
            success: Whether it worked; None when unknown.
            model: Model used.
            prompt_tokens: Input tokens.
            completion_tokens: Output tokens.
            **fields: Any other column. `time` (datetime, Timestamp, ISO text or int ns; naive means UTC) sets
                the event's time, else it is now. Numbers, booleans and text become columns; durations become ms
                in columns whose name ends in `_ms`, else seconds. Other values, and values that do not fit
                their column, go to `metadata` as JSON, counted and warned of once.

        Returns:
            True when the event was collected; False while the experiment is paused or over.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.record("llm.request", latency_ms=812.4, model="gpt-4o", success=True)
            True
            >>> exp.record("train.step", {"train/loss": 0.3}, step=1)
            True
            >>> exp.stop()
            >>> exp.record("too.late")
            False
        """
        nonlocal staged
        try:
            time = now()
            if len(staged) >= limit and not admit():
                return False
            extra = None
            if fields:
                for value in fields.values():
                    if type(value) not in PLAIN:
                        fields = plain_fields(fields, problems)
                        break
                extra = fields
            if values is not None:
                given = (event, latency_ms, cost_usd, success, model, prompt_tokens, completion_tokens)
                time, event, latency_ms, cost_usd, success, model, prompt_tokens, completion_tokens, extra = merged(
                    time, values, given, extra, problems
                )
            if extra is not None and clean is not None:
                extra = clean(extra)
            row = (time, event, latency_ms, cost_usd, success, model, prompt_tokens, completion_tokens, extra)
            if journal is None:
                if (
                    (type(latency_ms) is not float and latency_ms is not None)
                    or (success is not None and success is not True and success is not False)
                    or (model is not None and type(model) is not str)
                    or (prompt_tokens is not None and type(prompt_tokens) is not int)
                    or (completion_tokens is not None and type(completion_tokens) is not int)
                    or (cost_usd is not None and type(cost_usd) is not float)
                ):
                    row = plain_cells(row)  # arrays, tensors and objects may change, or fail, until they are read
                staged += row
                return True
            # the order of lines is that of events; `with` leaves no instruction at which a signal finds it half taken
            with lock:
                if journal.line is not None:
                    journal.settle(staged)
                seq = journal.seq
                try:
                    if extra is None:
                        body = dumps(
                            (
                                seq, time, event, latency_ms, cost_usd, success, model, prompt_tokens,
                                completion_tokens,
                            ),
                            None,
                            strict,
                        )  # fmt: skip
                    else:
                        body = dumps((seq, *row), None, strict)
                        for value in extra.values():
                            if type(value) is float and value * 0.0 != 0.0:
                                raise TypeError
                    if (
                        (latency_ms is not None and latency_ms * 0.0 != 0.0)
                        or (cost_usd is not None and cost_usd * 0.0 != 0.0)
                        or (prompt_tokens is not None and prompt_tokens * 0 != 0)
                        or (completion_tokens is not None and completion_tokens * 0 != 0)
                        or (success is not True and success is not False and success is not None)
                        or (model is not None and type(model) is not str)
                        or type(event) is not str
                    ):
                        raise TypeError
                except Exception as error:  # noqa: BLE001  NaN, lists, objects: what the slow encoder wrote is staged
                    let_pass(error)
                    body, row = encode_row(seq, row, redaction)
                data = b"[%d,%b]\n" % (adler32(body), body)
                size = len(data)  # the last call before the write: a signal handler that records takes the number
                if direct is None or journal.failure is not None or journal.seq != seq:
                    with unbroken():  # written and staged, or neither
                        if journal.seq != seq:
                            body, row = encode_row(journal.seq, row)
                            data = frame_line(body)
                        if not journal.write(data, 1):
                            return False
                        staged += row
                    return True
                journal.line = data
                try:
                    if direct(journal.handle, data) != size:  # type: ignore[arg-type]
                        raise OSError(ENOSPC, "the line was written in part only")
                except BaseException as error:  # noqa: BLE001  also an interrupt right behind the call
                    journal.torn, journal.failure = True, "a line was not written"  # first, as `undo` is a call
                    return journal.undo(error)
                if journal.line is data:  # else a signal handler that recorded has done this
                    journal.size += size  # no call from here on, so no interrupt
                    journal.seq = seq + 1
                    staged += row
                    journal.line = None
        except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
            let_pass(error)
            problems.report("errors", f"an event was not recorded: {type(error).__name__}: {error}")
            return False
        return True

    return record, set_limit
