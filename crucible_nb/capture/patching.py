"""Replace methods in place, and put them back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from crucible_nb.capture.base import Capture

_ABSENT = object()


def patch(capture: Capture, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> bool:
    """Replace `owner.name` by `make(original)` until the capture is undone; return whether there was one.

    If another library has wrapped ours by then, its wrapper stays, and ours only passes calls on.

    Args:
        capture: The capture; when it is not active, calls go straight to the original.
        owner: A class, a module or an object.
        name: Name of the method.
        make: Returns the replacement of a function, with the same arguments.
    """
    original = getattr(owner, name, None)
    if not callable(original):
        return False
    replaced = make(original)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (replaced if capture.active else original)(*args, **kwargs)

    @functools.wraps(original)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        return await (replaced if capture.active else original)(*args, **kwargs)

    # callers look whether a method is a coroutine function
    method: Any = call_async if inspect.iscoroutinefunction(original) else call
    own = vars(owner).get(name, _ABSENT)
    try:
        setattr(owner, name, method)
    except (AttributeError, TypeError):
        return False

    def undo() -> None:
        if vars(owner).get(name) is method:
            if own is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

    capture._on_undo(undo)
    return True
