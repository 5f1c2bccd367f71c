"""Extensions of an experiment: methods registered by name, as pandas registers accessors.

The core knows none of them; their dependencies (widgets, a browser) are imported when one is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from crucible_nb.errors import ConfigError
from crucible_nb.experiment.experiment import Experiment

F = TypeVar("F", bound=Callable[..., Any] | property)


def register(name: str) -> Callable[[F], F]:
    """Add a method (or property) of this name to Experiment; used as a decorator.

    Args:
        name: An identifier that Experiment does not have yet.

    Raises:
        ConfigError: The name is taken or is not an identifier.

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

    def add(extension: F) -> F:
        existing = Experiment.__dict__.get(name)
        reloaded = existing is not None and _origin(existing) == _origin(extension)
        if not name.isidentifier() or (hasattr(Experiment, name) and not reloaded):
            raise ConfigError(f"name={name!r}: expected an identifier that Experiment does not have")
        setattr(Experiment, name, extension)
        return extension

    return add


def _origin(extension: Any) -> tuple[Any, ...]:
    """Return the file and name where a function, or the getter of a property, is defined."""
    function = getattr(extension, "fget", extension)
    return getattr(getattr(function, "__code__", None), "co_filename", None), getattr(function, "__qualname__", None)
