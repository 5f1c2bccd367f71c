"""Samplers and detectors by what they were made of: plain data for those that ship, a name for the others."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from crucible_nb import anomaly, sampling
from crucible_nb.anomaly import Detector
from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.sampling import Sampler

_ROOMS = {"sampling": sampling, "anomaly": anomaly}


def describe(policy: Sampler | Detector | None) -> dict[str, Any] | None:
    """A policy as plain data; of one that is not ours, or takes a callable, only what it is called.

    Examples:
        >>> from crucible_nb.sampling import Uniform
        >>> described(Uniform(0.1))
        {'room': 'sampling', 'class': 'Uniform', 'arguments': {'pairs': [['rate', 0.1]]}}
    """
    if policy is None:
        return None
    room = "sampling" if isinstance(policy, Sampler) else "anomaly"
    name = type(policy).__qualname__
    if getattr(_ROOMS[room], name, None) is type(policy):
        try:
            return {"room": room, "class": name, "arguments": _plain(_arguments(policy))}
        except (TypeError, AttributeError):
            pass
    return {"room": room, "class": name, "strange": repr(policy)}


def _arguments(policy: Any) -> dict[str, Any]:
    """What a policy was made of: its attributes by the names that its constructors take."""
    if hasattr(policy, "arguments"):
        return policy.arguments()  # type: ignore[no-any-return]
    names: dict[str, None] = {}
    for kind in type(policy).__mro__:
        parameters = inspect.signature(kind).parameters.values() if kind is not object else ()
        named = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        names |= dict.fromkeys(named)
        if not any(one.kind is one.VAR_KEYWORD for one in parameters):
            break
    return {name: getattr(policy, name) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(value)


def rebuild(description: Mapping[str, Any] | None, given: Any = None, base: Any = (Sampler, Detector)) -> Any:
    """The policy that was described; one that is not ours has to be given again.

    Args:
        description: From `described`.
        given: What to take for one that is not ours.
        base: What it has to be.

    Raises:
        StoreError: It cannot be made, or what was given is not of its class.
    """
    if description is None:
        return None
    if not isinstance(description, dict):
        raise StoreError(f"{description!r:.80} describes no policy")
    name = description.get("class")
    if "strange" in description:
        if given is not None and type(given).__qualname__ == name:
            return given
        got = "" if given is None else f", got {given!r}"
        raise StoreError(f"{description['strange']} is not written in the store; pass it again{got}")
    try:
        kind = getattr(_ROOMS[description["room"]], str(name))
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise TypeError(f"{name!r} is neither a sampler nor a detector")
        return kind(**_back(description["arguments"]))
    except (KeyError, TypeError, AttributeError, ValueError, CrucibleError) as error:
        raise StoreError(f"{name!r} cannot be made again: {error}") from error


def _back(value: Any) -> Any:
    if isinstance(value, dict):
        return {_back(key): _back(item) for key, item in value["pairs"]}
    return [_back(item) for item in value] if isinstance(value, list) else value


def is_restorable(policy: Sampler | Detector | None) -> bool:
    """Whether its running state can be written down whole.

    A class of ours says so itself; any other has to have a `to_dict` and a `from_dict` of its own. One that has not is
    not stopped from working: its journals are kept, and it is replayed from its first event.
    """
    if policy is None:
        return True
    kind = type(policy)
    if kind.__name__ == "OneByOne" or (isinstance(policy, Detector) and hasattr(policy, "model")):
        return "to_dict" in vars(kind) and "from_dict" in vars(kind)
    ours = kind.__module__.startswith("crucible_nb.")
    return ours or ("to_dict" in vars(kind) and "from_dict" in vars(kind))
