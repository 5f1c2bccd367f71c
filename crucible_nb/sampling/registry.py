"""Samplers by name, where text comes in."""

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
    """The sampler that was asked for; None keeps everything.

    Args:
        sampling: None, a name with `config`, or a sampler.
        config: Arguments of the class; without any, a rate of 0.1 or 10,000 rows.

    Raises:
        ConfigError: No such sampler, or arguments that it does not take.
    """
    given = checks.mapping("sampling_config", config)
    if isinstance(sampling, str):
        checks.one_of("sampling", sampling, _BY_NAME)
        return _made(sampling, given)
    if given:
        raise checks.wrong("sampling_config", config, "None unless sampling is a name")
    if sampling is None or isinstance(sampling, Sampler):
        return sampling
    names = ", ".join(map(repr, _BY_NAME))
    raise checks.wrong("sampling", sampling, f"None, one of {names}, or a sampler such as cr.sampling.Uniform(0.1)")


def _made(name: str, given: dict[str, Any]) -> Sampler:
    made = _BY_NAME[name]
    if name == "stratified" and isinstance(given.get("rates"), Mapping):
        given["rates"] = _by_outcome(given["rates"], given.get("by", "success"))
    accepted = inspect.signature(made).parameters
    if unknown := [key for key in given if key not in accepted]:
        raise ConfigError(f"sampling_config: {name!r} takes {', '.join(accepted)}, got {', '.join(map(repr, unknown))}")
    defaults = _DEFAULTS[name] if not given else {key: value for key, value in _DEFAULTS[name].items() if key == "rate"}
    try:
        return made(**{**defaults, **given})
    except TypeError as error:
        raise ConfigError(f"sampling_config: {name!r}: {error}") from error


def _by_outcome(rates: Mapping[Any, Any], by: Any) -> dict[Any, Any]:
    """{"error": 1.0, "success": 0.1} as text writes it, where strata are outcomes."""
    if by != "success":
        return dict(rates)
    return {_OUTCOMES.get(label, label) if isinstance(label, str) else label: rate for label, rate in rates.items()}
