"""Samplers by name, for arguments given as text."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from crucible_nb.errors import ConfigError
from crucible_nb.sampling.adaptive import Adaptive
from crucible_nb.sampling.base import Sampler
from crucible_nb.sampling.importance import Importance
from crucible_nb.sampling.reservoir import Reservoir
from crucible_nb.sampling.stratified import Stratified
from crucible_nb.sampling.uniform import Uniform
from crucible_nb.utils import checks

_BY_NAME: dict[str, type[Sampler]] = {
    "uniform": Uniform,
    "reservoir": Reservoir,
    "stratified": Stratified,
    "adaptive": Adaptive,
    "importance": Importance,
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "uniform": {"rate": 0.1},
    "reservoir": {"size": 10_000},
    "stratified": {"rates": {False: 1.0}, "default": 0.1},
    "adaptive": {},
    "importance": {"size": 10_000},
}
_OUTCOMES = {"error": False, "failure": False, "success": True}


def sampling_of(sampling: Any, config: Mapping[str, Any] | None = None) -> Sampler | None:
    """Build the requested sampler; None keeps all events.

    Args:
        sampling: None, a name, or a sampler.
        config: Arguments of the class of that name; the default is a rate of 0.1 or 10,000 rows.

    Raises:
        ConfigError: Unknown sampler, or unknown arguments.
    """
    arguments = checks.mapping("sampling_config", config)
    if isinstance(sampling, str):
        checks.one_of("sampling", sampling, _BY_NAME)
        return _build(sampling, arguments)
    if arguments:
        raise checks.wrong("sampling_config", config, "None unless sampling is a name")
    if sampling is None or isinstance(sampling, Sampler):
        return sampling
    names = ", ".join(map(repr, _BY_NAME))
    raise checks.wrong("sampling", sampling, f"None, one of {names}, or a sampler such as cr.sampling.Uniform(0.1)")


def _build(name: str, arguments: dict[str, Any]) -> Sampler:
    cls = _BY_NAME[name]
    if name == "stratified" and isinstance(arguments.get("rates"), Mapping):
        arguments["rates"] = _rates_by_outcome(arguments["rates"], arguments.get("by", "success"))
    accepted = inspect.signature(cls).parameters
    if unknown := [key for key in arguments if key not in accepted]:
        raise ConfigError(f"sampling_config: {name!r} takes {', '.join(accepted)}, got {', '.join(map(repr, unknown))}")
    defaults = {key: value for key, value in _DEFAULTS[name].items() if key == "rate" or not arguments}
    try:
        return cls(**{**defaults, **arguments})
    except TypeError as error:
        raise ConfigError(f"sampling_config: {name!r}: {error}") from error


def _rates_by_outcome(rates: Mapping[Any, Any], by: Any) -> dict[Any, Any]:
    """Convert the labels "error", "failure" and "success" to False and True if the strata are outcomes."""
    if by != "success":
        return dict(rates)
    return {_OUTCOMES.get(label, label) if isinstance(label, str) else label: rate for label, rate in rates.items()}
