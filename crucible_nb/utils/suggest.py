"""Name the nearest attribute or keyword where one is mistyped, and the word of this package for that of others."""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from crucible_nb.utils.checks import suggestion

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")
_ALIKE = {"metric": "metrics", "metrics": "metric"}
"""Keywords that are accepted for each other: functions of one metric have `metric`, of several `metrics`."""


def hinting(function: F) -> F:
    """Wrap a function so that the error for an unknown keyword names the nearest one.

    `metric` is taken for `metrics`, and `metrics` for `metric`, where the function has only the other.

    Examples:
        >>> @hinting
        ... def area(width, height=1.0):
        ...     return width * height
        >>> area(2.0, heigth=3.0)
        Traceback (most recent call last):
        ...
        TypeError: area() got an unexpected keyword argument 'heigth'; did you mean 'height'?
    """
    known = [name for name, one in inspect.signature(function).parameters.items() if one.kind != one.VAR_KEYWORD]

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        try:
            try:
                return function(*args, **keywords)
            except TypeError as error:
                found = _UNEXPECTED.search(str(error))
                if found is None or found[1] not in keywords or found[1] in known:
                    raise
                name, other = found[1], _ALIKE.get(found[1], "")
                if other not in known or other in keywords:
                    raise TypeError(f"{error}{suggestion(name, known)}") from None
            return function(*args, **{other if key == name else key: value for key, value in keywords.items()})
        finally:
            del args, keywords  # a traceback that shows variables would show the password of a store

    return call  # type: ignore[return-value]


def hinting_methods(cls: C) -> C:
    """Wrap the public methods of a class that take keywords with `hinting`; used as a decorator.

    Examples:
        >>> @hinting_methods
        ... class Square:
        ...     def grow(self, factor=2):
        ...         return factor
        >>> Square().grow(factr=3)
        Traceback (most recent call last):
        ...
        TypeError: Square.grow() got an unexpected keyword argument 'factr'; did you mean 'factor'?
    """
    for name, method in list(vars(cls).items()):
        if inspect.isfunction(method) and name[0] != "_":
            kinds = [one.kind for one in inspect.signature(method).parameters.values()]
            if len(kinds) > 1 and not any(kind == inspect.Parameter.VAR_KEYWORD for kind in kinds):
                setattr(cls, name, hinting(method))
    return cls


def missing(owner: str, name: str, known: Any, words: Mapping[str, str] | None = None) -> AttributeError:
    """Build the error for an attribute that does not exist.

    Args:
        owner: Name of the object for the message, such as "'Experiment' object".
        name: The attribute asked for.
        known: Names that exist.
        words: Sentences for names that other packages use.

    Examples:
        >>> str(missing("module 'm'", "strat", ["start"]))
        "module 'm' has no attribute 'strat'; did you mean 'start'?"
    """
    hint = (words or {}).get(name)
    nearest = difflib.get_close_matches(name, [one for one in known if one[0] != "_"], 2)
    near = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
    return AttributeError(
        f"{owner} has no attribute {name!r}{'' if name[:1] == '_' else f'; {hint}' if hint else near}"
    )


class Near:
    """Base class of objects that name the nearest attribute where one does not exist.

    Examples:
        >>> class Point(Near):
        ...     width = 1
        >>> Point().widht
        Traceback (most recent call last):
        ...
        AttributeError: 'Point' object has no attribute 'widht'; did you mean 'width'?
    """

    _words: Mapping[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        known = [] if name[:1] == "_" else [*vars(self), *dir(type(self))]
        raise missing(f"{type(self).__name__!r} object", name, known, type(self)._words)
