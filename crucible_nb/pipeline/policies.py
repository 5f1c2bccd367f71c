"""Serialise samplers and detectors as class name and arguments."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from crucible_nb import anomaly, sampling
from crucible_nb.anomaly import Detector
from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.sampling import Sampler

_PACKAGES = {"sampling": sampling, "anomaly": anomaly}


def describe(policy: Sampler | Detector | None) -> dict[str, Any] | None:
    """Describe a sampler or detector as plain data; of a user-defined class or callable, only the name is kept.

    Examples:
        >>> from crucible_nb.sampling import Uniform
        >>> describe(Uniform(0.1))
        {'room': 'sampling', 'class': 'Uniform', 'arguments': {'pairs': [['rate', 0.1]]}}
    """
    if policy is None:
        return None
    package = "sampling" if isinstance(policy, Sampler) else "anomaly"
    name = type(policy).__qualname__
    if getattr(_PACKAGES[package], name, None) is type(policy):
        try:
            return {"room": package, "class": name, "arguments": _encode(_arguments(policy))}
        except (TypeError, AttributeError):
            pass
    return {"room": package, "class": name, "strange": repr(policy)}


def _arguments(policy: Any) -> dict[str, Any]:
    """Return the constructor arguments: the attributes with the names of the parameters."""
    if hasattr(policy, "arguments"):
        return policy.arguments()  # type: ignore[no-any-return]
    names: dict[str, None] = {}
    for cls in type(policy).__mro__:
        parameters = inspect.signature(cls).parameters.values() if cls is not object else ()
        names |= dict.fromkeys(p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return {name: getattr(policy, name) for name in names}


def _encode(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {"pairs": [[_encode(key), _encode(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(value)


def rebuild(description: Mapping[str, Any] | None, given: Any = None, base: Any = (Sampler, Detector)) -> Any:
    """Rebuild a sampler or detector from its description. Objects with user-defined code must be passed again.

    Args:
        description: Result of `describe`.
        given: The object to use if the description holds only a name.
        base: Class or classes that the result must be an instance of.

    Raises:
        StoreError: The description is broken, or `given` is missing or of another class.
    """
    if description is None:
        return None
    if not isinstance(description, dict):
        raise StoreError(f"expected the description of a sampler or detector, got {description!r:.80}")
    name = description.get("class")
    if "strange" in description:
        if given is not None and type(given).__qualname__ == name:
            return given
        got = "" if given is None else f"; got {given!r}"
        raise StoreError(
            f"{description['strange']} has user-defined code and is not saved in the store. Pass it to "
            f"cr.attach(sampling=...) or cr.attach(anomaly=...){got}"
        )
    try:
        cls = getattr(_PACKAGES[description["room"]], str(name))
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise TypeError(f"{name!r} is neither a sampler nor a detector")
        return cls(**_decode(description["arguments"]))
    except (KeyError, TypeError, AttributeError, ValueError, CrucibleError) as error:
        raise StoreError(f"{name!r} cannot be rebuilt: {error}") from error


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        return {_decode(key): _decode(item) for key, item in value["pairs"]}
    return [_decode(item) for item in value] if isinstance(value, list) else value


def is_restorable(policy: Sampler | Detector | None) -> bool:
    """Return whether the running state of a sampler or detector can be saved completely.

    A class declares it (`restorable`), or defines `to_dict` and `from_dict` itself; neither is inherited, because a
    subclass may add state. Without it the journals are retained, and the policy is replayed from its first event.
    """
    if policy is None:
        return True
    own = vars(type(policy))
    return bool(own.get("restorable", {"to_dict", "from_dict"} <= own.keys()))
