"""The last step of `record` with a store: number, write, stage, in as few calls as it can be done in."""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOSPC
from typing import Any
from zlib import adler32

import orjson

from crucible_nb.stores import system
from crucible_nb.stores.journal import Journal
from crucible_nb.stores.lines import STRICT
from crucible_nb.stores.rows import body_of


def recorder(  # noqa: C901
    journal: Journal, staged: list[Any], clean: Callable[[dict[Any, Any]], Any] | None
) -> Callable[..., bool]:
    """Make what takes the cells of a row; it says whether they are acknowledged.

    A closure, for names are looked up faster than attributes. One lock makes the order of lines that of events.

    Args:
        journal: Where lines go.
        staged: Where rows wait for the fold.
        clean: Takes secrets out of the fields that are not standard ones.
    """
    acquire, release, dumps, strict = journal.lock.acquire, journal.lock.release, orjson.dumps, STRICT
    direct = system.system().write if journal.durability == "os" else None

    def put(  # noqa: C901, PLR0912  a call saved here is saved at every event
        time: int,
        event: Any,
        latency: Any,
        cost: Any,
        success: Any,
        model: Any,
        prompt: Any,
        completion: Any,
        extra: Any,
    ) -> bool:
        nonlocal staged
        if extra is not None and clean is not None:
            extra = clean(extra)
        row = (time, event, latency, cost, success, model, prompt, completion, extra)
        acquire()
        try:
            try:
                if extra is None:
                    body = dumps(
                        (journal.seq, time, event, latency, cost, success, model, prompt, completion), None, strict
                    )
                else:
                    body = dumps((journal.seq, *row), None, strict)
                    for value in extra.values():
                        if type(value) is float and value * 0.0 != 0.0:
                            raise TypeError
                if (
                    (latency is not None and latency * 0.0 != 0.0)
                    or (cost is not None and cost * 0.0 != 0.0)
                    or type(prompt) is float
                    or type(completion) is float
                    or type(success) is float
                    or type(model) is float
                    or type(event) is not str
                ):
                    raise TypeError
            except Exception:  # noqa: BLE001  NaN, numpy, objects: said in another way, and staged as it is said
                body, row = body_of(journal.seq, row)
            data = b"[%d,%b]\n" % (adler32(body), body)
            if direct is None or journal.failure is not None:
                if not journal.write(data, 1):
                    return False
            else:
                size = len(data)
                try:
                    if direct(journal.handle, data) != size:  # type: ignore[arg-type]
                        raise OSError(ENOSPC, "it took a part of a line only")
                except BaseException as error:  # noqa: BLE001  also an interrupt right behind the call
                    return journal.undo(error)
                journal.size += size  # no call from here on, so no interrupt
                journal.seq += 1
            staged += row
        finally:
            release()
        return True

    return put
