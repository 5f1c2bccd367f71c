"""Detectors by name, where text comes in."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from crucible_nb.anomaly.auto import Auto
from crucible_nb.anomaly.base import Detector
from crucible_nb.anomaly.cusum import CUSUM
from crucible_nb.anomaly.ewma import EWMA
from crucible_nb.anomaly.iqr import IQR
from crucible_nb.anomaly.isolation_forest import IsolationForest
from crucible_nb.anomaly.modified_z_score import ModifiedZScore
from crucible_nb.anomaly.z_score import ZScore
from crucible_nb.errors import ConfigError
from crucible_nb.utils import checks

NAMES: dict[str, type[Detector]] = {
    "auto": Auto,
    "z_score": ZScore,
    "modified_z_score": ModifiedZScore,
    "iqr": IQR,
    "ewma": EWMA,
    "cusum": CUSUM,
    "isolation_forest": IsolationForest,
}


def detector_of(name: str, method: Any, **options: Any) -> Detector:
    """A detector from its name, or as it is.

    Args:
        name: What the argument is called.
        method: A name or a detector.
        **options: Arguments for a detector given by name; those that are None are left out.

    Raises:
        ConfigError: No such detector, or options that it does not take.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if isinstance(method, Detector):
        if given:
            raise ConfigError(f"{name}: options are for detectors given by name, got {', '.join(given)}")
        return method
    if not isinstance(method, str):
        raise checks.wrong(name, method, f"one of {', '.join(map(repr, NAMES))}, or a detector of cr.anomaly")
    made = NAMES[checks.one_of(name, method, NAMES)]
    accepted = {*inspect.signature(made).parameters, *inspect.signature(Detector).parameters} - {"options"}
    if unknown := [key for key in given if key not in accepted]:
        raise ConfigError(f"{name}: {method!r} takes {', '.join(sorted(accepted))}, got {', '.join(unknown)}")
    return made(**given)


def detectors_of(anomaly: Any, config: Mapping[str, Any] | None = None) -> tuple[list[Detector], str]:
    """The detectors that `cr.start` was asked for, and what to do when they fire.

    Args:
        anomaly: None, a name, names (also as "z_score,iqr"), a detector, or a list of both.
        config: threshold, metrics, by, false_alarm_rate and other options of detectors given by name; action.

    Raises:
        ConfigError: No such detector, option or action.
    """
    options = checks.mapping("anomaly_config", config)
    action = checks.one_of("anomaly_config['action']", options.pop("action", "flag"), ACTIONS)
    if isinstance(anomaly, str):
        anomaly = [name.strip() for name in anomaly.split(",")]
    listed = [] if anomaly is None else list(anomaly) if isinstance(anomaly, Sequence) else [anomaly]
    if config and not listed:
        raise checks.wrong("anomaly_config", config, "None without anomaly detectors")
    if options and not any(isinstance(one, str) for one in listed):
        raise checks.wrong("anomaly_config", config, "'action' alone beside detectors that have their own arguments")
    return [detector_of("anomaly", one, **(options if isinstance(one, str) else {})) for one in listed], action


ACTIONS = ("flag", "alert", "sample_more", "pause")
"""What an experiment does with an anomaly: mark it; look for it without being asked; insist on an adaptive sampler,
which keeps more around what is flagged under any action; pause."""
