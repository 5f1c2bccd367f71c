"""Faces of an experiment: methods that are registered by name, as pandas registers accessors.

The core knows none of them; what they need (widgets, a browser) is imported when one is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from crucible_nb.errors import ConfigError
from crucible_nb.experiment.experiment import Experiment

F = TypeVar("F", bound=Callable[..., Any] | property)


def register(name: str) -> Callable[[F], F]:
    """Decorator: give every Experiment a method (or property) of this name.

    Args:
        name: An identifier that Experiment does not have yet.

    Raises:
        ConfigError: The name is taken, or none.

    Examples:
        >>> import crucible_nb as cr
        >>> @cr.extensions.register("shout")
        ... def shout(exp):
        ...     return exp.name.upper()
        >>> with cr.start("demo") as exp:
        ...     exp.shout()
        'DEMO'
        >>> del cr.Experiment.shout
    """

    def keep(face: F) -> F:
        held = Experiment.__dict__.get(name)
        again = held is not None and _home(held) == _home(face)  # its module was loaded anew
        if not name.isidentifier() or (hasattr(Experiment, name) and not again):
            raise ConfigError(f"name={name!r}: expected an identifier that Experiment does not have")
        setattr(Experiment, name, face)
        return face

    return keep


def _home(face: Any) -> tuple[Any, ...]:
    """Where a function, or the one behind a property, was written."""
    function = getattr(face, "fget", face)
    return getattr(getattr(function, "__code__", None), "co_filename", None), getattr(function, "__qualname__", None)
