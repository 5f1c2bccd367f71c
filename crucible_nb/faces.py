"""Faces of an experiment: methods that are registered by name, as pandas registers accessors.

The core knows none of them; what they need (widgets, a browser) is imported when one is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from crucible_nb.errors import ConfigError
from crucible_nb.experiment import Experiment

F = TypeVar("F", bound=Callable[..., Any] | property)


def register(name: str) -> Callable[[F], F]:
    """Decorator: give every Experiment a method (or property) of this name.

    Args:
        name: An identifier that Experiment does not have yet.

    Raises:
        ConfigError: The name is taken, or none.

    Examples:
        >>> import crucible_nb as cr
        >>> @cr.faces.register("shout")
        ... def shout(exp):
        ...     return exp.name.upper()
        >>> cr.start("demo").shout()
        'DEMO'
        >>> del cr.Experiment.shout
    """
    if not name.isidentifier() or hasattr(Experiment, name):
        raise ConfigError(f"name={name!r}: expected an identifier that Experiment does not have")

    def keep(face: F) -> F:
        setattr(Experiment, name, face)
        return face

    return keep
