"""State as plain data: written, read back with every doubt checked, compared, shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.utils import checks

T = TypeVar("T", bound="Stateful")


class Stateful:
    """What all accumulators share: state named once, equality by it, and a repr that is a function of it."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # state changes in place

    kind: ClassVar[str]
    """Name of the type in `to_dict`."""
    parameters: ClassVar[tuple[str, ...]] = ()
    """Attributes that the constructor takes; accumulators merge when these are equal."""
    fields: ClassVar[Mapping[str, str]] = {}
    """The other attributes of the state, each with the method of `Opened` that reads it back."""
    shown: ClassVar[tuple[str, ...]] = ()
    """Attributes in the repr."""

    def to_dict(self) -> dict[str, Any]:
        """The whole state as plain data that JSON can hold.

        Examples:
            >>> from crucible_nb.accumulators import Extremes
            >>> Extremes().update([1.0]).to_dict()["maximum"]
            1.0
        """
        parameters = {name: getattr(self, name) for name in self.parameters}
        fields = {name.lstrip("_"): getattr(self, name) for name in self.fields}
        return {"kind": self.kind, "version": 1, **parameters, **fields}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The accumulator whose `to_dict` gave `state`.

        Raises:
            StoreError: When the state is broken, of another kind or from a newer release.

        Examples:
            >>> from crucible_nb.accumulators import Extremes
            >>> Extremes.from_dict(Extremes().update([1.0, 3.0]).to_dict()).maximum
            3.0
        """
        opened = Opened(state, cls.kind)
        new = opened.build(cls)
        for name, look in cls.fields.items():
            setattr(new, name, getattr(opened, look)(name.lstrip("_")))
        return new

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stateful) or type(other) is not type(self):
            return NotImplemented
        # as text NaN equals itself and -0.0 is not 0.0: bit for bit
        return json.dumps(self.to_dict()) == json.dumps(other.to_dict())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.shown)})"


def alike(one: Stateful, later: object) -> None:
    """Raise ConfigError unless `later` is of the type and has the parameters of `one`."""
    if type(later) is not type(one) or [name for name in one.parameters if getattr(one, name) != getattr(later, name)]:
        said = ", ".join(f"{name}={getattr(one, name)!r}" for name in one.parameters)
        raise checks.wrong("later", later, f"{type(one).__name__}({said})")


class Opened:
    """A state that came from outside; every look into it is checked.

    Args:
        state: What `to_dict` once gave.
        kind: The kind it must be of.
        version: The newest version of that kind known here.
    """

    def __init__(self, state: Any, kind: str, version: int = 1) -> None:
        self._kind = kind
        if not isinstance(state, Mapping) or state.get("kind") != kind:
            raise checks.wrong("state", state, f"the to_dict() of {kind!r}", StoreError)
        self._state = state
        if self.whole("version") > version:
            raise self.broken(f"version={state['version']!r}: expected at most {version}; a newer release wrote it")

    def broken(self, what: object) -> StoreError:
        """The error for a state that cannot be; the caller raises it."""
        return StoreError(f"state of {self._kind!r}: {what}")

    def _checked(self, name: str, check: Callable[..., Any], **bounds: Any) -> Any:
        if name not in self._state:
            raise self.broken(f"{name!r} is missing")
        try:
            return check(name, self._state[name], **bounds)
        except CrucibleError as error:
            raise self.broken(error) from error

    def build(self, cls: type[T]) -> T:
        """A fresh accumulator with the parameters of the state."""
        parameters = {name: self.part(name) for name in cls.parameters}
        try:
            return cls(**parameters)
        except CrucibleError as error:
            raise self.broken(error) from error

    def whole(self, name: str, ge: int = 0) -> int:
        """Read a whole number >= `ge`."""
        return int(self._checked(name, checks.whole, ge=ge))

    def weight(self, name: str) -> float:
        """A finite number >= 0."""
        return float(self._checked(name, checks.number, ge=0.0))

    def number(self, name: str) -> float:
        """Any float, NaN and infinities included."""
        return float(self._checked(name, lambda name, value: checks.floats(name, [value])[0]))

    def numbers(self, name: str) -> np.ndarray:
        """A list of floats."""
        return np.array(self._checked(name, checks.floats))

    def weights(self, name: str, length: int) -> np.ndarray:
        """A list of `length` finite numbers >= 0."""
        return np.array(self._checked(name, lambda _, value: checks.weights(value, length)))

    def ascending(self, name: str) -> np.ndarray:
        """A list of finite floats, none smaller than the one before."""
        array = self.numbers(name)
        if not np.isfinite(array).all() or (np.diff(array) < 0).any():
            raise self.broken(f"{name}: expected ascending numbers")
        return array

    def wholes(self, name: str) -> np.ndarray:
        """A strictly ascending list of whole numbers, negative ones included."""
        array = self.ascending(name)
        if (array != np.floor(array)).any() or (np.abs(array) >= 2**53).any() or (np.diff(array) == 0).any():
            raise self.broken(f"{name}: expected ascending whole numbers")
        return array.astype(np.int64)

    def texts(self, name: str) -> list[str]:
        """A list of different strings."""
        values = self._state.get(name)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.broken(f"{name}: expected a list of strings")
        if len(set(values)) < len(values):
            raise self.broken(f"{name}: expected different strings")
        return values

    def part(self, name: str) -> Any:
        """A state inside the state, for another class to open."""
        return self._checked(name, lambda _, value: value)
