"""`record`: the caller's side of an event, as few bytecodes as it can be done in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from crucible_nb.ingest.plain import EXTRA, PLAIN, Rest, settle, to_json
from crucible_nb.ingest.rows import STANDARD
from crucible_nb.notes import Notes


class Recorder(Protocol):
    """The type of `exp.record`."""

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


def recorder(  # noqa: C901  every call saved here is saved at every event
    staged: list[Any],
    now: Callable[[], int],
    admit: Callable[[], bool],
    notes: Notes,
    put: Callable[..., bool] | None = None,
) -> tuple[Recorder, Callable[[int], None]]:
    """Make a `record` that appends to `staged`.

    A closure, because its names are looked up faster than attributes. One flat list takes the cells of all rows:
    adding a tuple to it is atomic, and leaves nothing behind for the garbage collector to count.

    Args:
        staged: Flat list of rows of WIDTH cells, drained by somebody else.
        now: The clock, UTC nanoseconds. It is read before the gate, so that nothing is later than a pause.
        admit: Asked once `staged` is as long as the limit, whether to collect the event.
        notes: Where trouble is counted.
        put: With a store: takes the cells of a row, writes and stages it, says whether it could. None: stage it here.

    Returns:
        `record`, and a function that sets the limit; 0 has every event ask.
    """
    limit = 0

    def set_limit(cells: int) -> None:
        nonlocal limit
        limit = cells

    def record(
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
        """Record one event; never raises.

        Args:
            event: What happened, e.g. "llm.request"; see `cr.events` for the standard names.
            values: More columns as a mapping, for names that are no identifiers: {"train/loss": 0.3}.
            latency_ms: Duration in milliseconds.
            cost_usd: Cost in USD; when not given, from tokens and model through the price table.
            success: Whether it worked; None when unknown.
            model: Model that did it.
            prompt_tokens: Tokens in.
            completion_tokens: Tokens out.
            **fields: Any other column. `time` (datetime, Timestamp, ISO text or int ns; naive means UTC) sets
                the event's time, else it is now. Other scalars become columns; what is no scalar, or does not
                fit its column, goes to `metadata` as JSON, counted and warned of once.

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
                        fields = _settled(fields, notes)
                        break
                extra = fields
            if values is not None:
                standard = (event, latency_ms, cost_usd, success, model, prompt_tokens, completion_tokens)
                row = _merged(time, values, standard, extra, notes)
                if put is not None:
                    return put(*row)
                staged += row
                return True
            if put is not None:
                return put(time, event, latency_ms, cost_usd, success, model, prompt_tokens, completion_tokens, extra)
            staged += (
                time, event, latency_ms, cost_usd, success, model, prompt_tokens, completion_tokens, extra,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
            notes.say("errors", f"an event was not recorded: {type(error).__name__}: {error}")
            return False
        return True

    return record, set_limit


def _settled(fields: dict[str, Any], notes: Notes) -> dict[str, Any]:
    plain, strangers = settle(fields)
    if strangers:
        said = f"values that are no scalars went to `metadata` as JSON (first: {', '.join(strangers[:3])})"
        notes.say("misfits", said, len(strangers))
    return plain  # type: ignore[return-value]


def _merged(
    time: int, values: Any, standard: tuple[Any, ...], extra: dict[Any, Any] | None, notes: Notes
) -> tuple[Any, ...]:
    """A staged row whose values came in a mapping; keywords win over it."""
    if not isinstance(values, Mapping):
        values = {"values": values}
    merged: dict[Any, Any] = _settled({str(name): value for name, value in values.items()}, notes)
    given = dict(zip(STANDARD, standard, strict=True))
    for name in STANDARD[1:]:
        value = merged.pop(name, None)
        given[name] = value if given[name] is None else given[name]
    row: dict[Any, Any] = {**merged, **(extra or {})}
    if EXTRA in row:
        row[EXTRA] = row.pop(EXTRA)  # last, as without a mapping
    if extra is not None and EXTRA in extra and EXTRA in merged:
        both = to_json({**json.loads(merged[EXTRA]), **json.loads(extra[EXTRA])})
        row[EXTRA] = Rest(both, merged[EXTRA].strangers + extra[EXTRA].strangers)
    return (time, *given.values(), row or None)


def row_of(time: int, event: str | None, fields: dict[str, Any], notes: Notes) -> tuple[Any, ...]:
    """A staged row from one mapping, as `extend` takes them from a list."""
    name = fields.pop("event", None) if event is None else event
    return _merged(time, fields, (name, *[None] * (len(STANDARD) - 1)), None, notes)
