"""Shared base of the accumulators: state as plain data, read back with checks, compared and shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from crucible_nb.accumulators.base import Accumulator
from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.utils import checks

T = TypeVar("T", bound="Stateful")


class Stateful(Accumulator):
    """Base class of the shipped accumulators: serialisation, equality and repr from a declared state."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # state changes in place

    kind: ClassVar[str]
    """Name of the type in `to_dict`."""
    _version: ClassVar[int] = 1
    """Version of the state in `to_dict`."""
    parameters: ClassVar[tuple[str, ...]] = ()
    """Attributes that are constructor arguments; accumulators can merge when these are equal."""
    fields: ClassVar[Mapping[str, str]] = {}
    """The other attributes of the state, each with the method of `StateReader` that reads it."""
    shown: ClassVar[tuple[str, ...]] = ()
    """Attributes in the repr."""

    def to_dict(self) -> dict[str, Any]:
        parameters = {name: getattr(self, name) for name in self.parameters}
        fields = {name.lstrip("_"): getattr(self, name) for name in self.fields}
        return {"kind": self.kind, "version": self._version, **parameters, **fields, **self._extra_state()}

    def _extra_state(self) -> dict[str, Any]:
        """Return the state that is not an attribute of `fields`, as plain data."""
        return {}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        reader = StateReader(state, cls.kind, cls._version)
        new = reader.build(cls)
        for name, method in cls.fields.items():
            setattr(new, name, getattr(reader, method)(name.lstrip("_")))
        new._load_extra_state(reader)
        return new

    def _load_extra_state(self, reader: StateReader) -> None:
        """Read the state of `_extra_state` back."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stateful) or type(other) is not type(self):
            return NotImplemented
        # as text NaN equals itself and -0.0 is not 0.0: bit for bit
        return json.dumps(self.to_dict()) == json.dumps(other.to_dict())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.shown)})"


def check_mergeable(accumulator: Stateful, later: object) -> None:
    """Raise ConfigError unless `later` has the type and the parameters of `accumulator`."""
    names = accumulator.parameters
    same_type = type(later) is type(accumulator)
    if not same_type or [name for name in names if getattr(accumulator, name) != getattr(later, name)]:
        parameters = ", ".join(f"{name}={getattr(accumulator, name)!r}" for name in names)
        raise checks.wrong("later", later, f"{type(accumulator).__name__}({parameters})")


class StateReader:
    """Checked access to a state read from outside.

    Args:
        state: The result of `to_dict`.
        kind: The kind it must have.
        version: The newest version of that kind known to this release.
    """

    def __init__(self, state: Any, kind: str, version: int = 1) -> None:
        self._kind = kind
        if not isinstance(state, Mapping) or state.get("kind") != kind:
            raise checks.wrong("state", state, f"the to_dict() of {kind!r}", StoreError)
        self._state = state
        self.version = self.whole("version")
        if self.version > version:
            raise self.broken(f"version={state['version']!r}: expected at most {version}; a newer release wrote it")

    def broken(self, problem: object) -> StoreError:
        """Build the error for an invalid state; the caller raises it."""
        return StoreError(f"state of {self._kind!r}: {problem}")

    def _checked(self, name: str, check: Callable[..., Any], **bounds: Any) -> Any:
        if name not in self._state:
            raise self.broken(f"{name!r} is missing")
        try:
            return check(name, self._state[name], **bounds)
        except CrucibleError as error:
            raise self.broken(error) from error

    def build(self, cls: type[T]) -> T:
        """Create a new accumulator with the parameters of the state."""
        parameters = {name: self.part(name) for name in cls.parameters}
        try:
            return cls(**parameters)
        except CrucibleError as error:
            raise self.broken(error) from error

    def whole(self, name: str, ge: int = 0) -> int:
        """Read a whole number >= `ge`."""
        return int(self._checked(name, checks.whole, ge=ge))

    def weight(self, name: str) -> float:
        """Read a finite number >= 0."""
        return float(self._checked(name, checks.number, ge=0.0))

    def number(self, name: str) -> float:
        """Read any float, NaN and infinities included."""
        return float(self._checked(name, lambda name, value: checks.floats(name, [value])[0]))

    def numbers(self, name: str) -> np.ndarray:
        """Read a list of floats."""
        return np.array(self._checked(name, checks.floats))

    def weights(self, name: str, length: int) -> np.ndarray:
        """Read a list of `length` finite numbers >= 0."""
        return np.array(self._checked(name, lambda _, value: checks.weights(value, length)))

    def ascending(self, name: str) -> np.ndarray:
        """Read a list of finite floats, none smaller than the one before."""
        array = self.numbers(name)
        if not np.isfinite(array).all() or (np.diff(array) < 0).any():
            raise self.broken(f"{name}: expected ascending numbers")
        return array

    def wholes(self, name: str) -> np.ndarray:
        """Read a strictly ascending list of whole numbers, negative ones included."""
        array = self.ascending(name)
        if (array != np.floor(array)).any() or (np.abs(array) >= 2**53).any() or (np.diff(array) == 0).any():
            raise self.broken(f"{name}: expected ascending whole numbers")
        return array.astype(np.int64)

    def texts(self, name: str) -> list[str]:
        """Read a list of different strings."""
        values = self._state.get(name)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.broken(f"{name}: expected a list of strings")
        if len(set(values)) < len(values):
            raise self.broken(f"{name}: expected different strings")
        return values

    def part(self, name: str) -> Any:
        """Read a nested state, unchecked; another class reads it."""
        return self._checked(name, lambda _, value: value)
