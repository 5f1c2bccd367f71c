"""Share the signature and the documentation of a function with methods that forward to it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")

_SECTIONS = re.compile(r"^Args:\n.*?(?=^Examples:)", re.DOTALL | re.MULTILINE)
_FIRST_ARGUMENT = re.compile(r"(?<=^Args:\n)    \S.*\n(?:     .*\n)*")


def signature_of(
    function: Callable[Concatenate[Any, P], R],
) -> Callable[[Callable[Concatenate[S, ...], R]], Callable[Concatenate[S, P], R]]:
    """Give a method the arguments of a function, whose first argument becomes `self`; used as a decorator.

    Completion and help show the function's arguments, and the method's docstring gets its Args, Returns and Raises.

    Examples:
        >>> def scaled(values, factor=1.0):
        ...     '''Scale values.
        ...
        ...     Args:
        ...         values: Numbers.
        ...         factor: Multiplier.
        ...
        ...     Examples:
        ...         >>> scaled([1.0])
        ...         [1.0]
        ...     '''
        ...     return [factor * value for value in values]
        >>> class Series:
        ...     @signature_of(scaled)
        ...     def scaled(self, *args, **kwargs):
        ...         '''Scale the series.
        ...
        ...         Examples:
        ...             >>> Series().scaled(2.0)
        ...             [2.0]
        ...         '''
        ...         return scaled([1.0], *args, **kwargs)
        >>> inspect.signature(Series.scaled), Series().scaled(factor=3.0)
        (<Signature (self, factor=1.0)>, [3.0])
        >>> "factor: Multiplier." in Series.scaled.__doc__, "values: Numbers." in Series.scaled.__doc__
        (True, False)
    """

    def decorate(method: Callable[Concatenate[S, ...], R]) -> Callable[Concatenate[S, P], R]:
        shared = inspect.signature(function)
        this = next(iter(inspect.signature(method).parameters.values()))
        parameters = [this, *list(shared.parameters.values())[1:]]
        method.__signature__ = shared.replace(parameters=parameters)  # type: ignore[attr-defined]
        method.__doc__ = _with_sections(inspect.getdoc(method), inspect.getdoc(function))
        return cast("Callable[Concatenate[S, P], R]", method)

    return decorate


def _with_sections(doc: str | None, shared: str | None) -> str | None:
    """Insert the sections of the shared docstring, without its first argument, before the examples."""
    sections = None if shared is None else _SECTIONS.search(shared)
    if doc is None or sections is None:
        return doc
    text = _FIRST_ARGUMENT.sub("", sections[0])
    head, examples, rest = doc.partition("Examples:\n")
    return f"{head}{text}{examples}{rest}"
