"""Detectors by name, for arguments given as text."""

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
from crucible_nb.anomaly.tellings import SEVERITIES
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
    """Build a detector from its name; return a detector unchanged.

    Args:
        name: Name of the argument, for error messages.
        method: A name or a detector.
        **options: Arguments for a detector given by name; None means not given.

    Raises:
        ConfigError: Unknown detector, or unknown options.
    """
    options = {key: value for key, value in options.items() if value is not None}
    if isinstance(method, Detector):
        if options:
            raise ConfigError(f"{name}: options are for detectors given by name, got {', '.join(options)}")
        return method
    if not isinstance(method, str):
        raise checks.wrong(name, method, f"one of {', '.join(map(repr, NAMES))}, or a detector of cr.anomaly")
    detector = NAMES[checks.one_of(name, method, NAMES)]
    accepted = {*inspect.signature(detector).parameters, *inspect.signature(Detector).parameters} - {"options"}
    if unknown := [key for key in options if key not in accepted]:
        raise ConfigError(f"{name}: {method!r} takes {', '.join(sorted(accepted))}, got {', '.join(unknown)}")
    return detector(**options)


def methods_of(name: str, method: Any) -> list[Any]:
    """Return the list that a name, names (also as "z_score,iqr"), a detector, or a list of both stand for."""
    if isinstance(method, str):
        return [part.strip() for part in method.split(",")]
    methods = list(method) if isinstance(method, Sequence) else [method]
    if not methods:
        raise checks.wrong(name, method, f"one of {', '.join(map(repr, NAMES))}, or a detector of cr.anomaly")
    return methods


def detectors_of(anomaly: Any, config: Mapping[str, Any] | None = None) -> tuple[list[Detector], str, str]:
    """Build the detectors requested in `cr.start`; return also the action on an anomaly and the severity it needs.

    Args:
        anomaly: None, a name, names (also as "z_score,iqr"), a detector, or a list of names and detectors.
        config: Options of detectors given by name (threshold, metrics, by, false_alarm_rate, ...), action, and notify.

    Raises:
        ConfigError: Unknown detector, option, action or severity.
    """
    options = checks.mapping("anomaly_config", config)
    action = checks.one_of("anomaly_config['action']", options.pop("action", "flag"), ACTIONS)
    notify = checks.one_of("anomaly_config['notify']", options.pop("notify", "medium"), SEVERITIES)
    methods = (
        []
        if anomaly is None or (isinstance(anomaly, (list, tuple)) and not anomaly)
        else methods_of("anomaly", anomaly)
    )
    if config and not methods:
        raise checks.wrong("anomaly_config", config, "None without anomaly detectors")
    if options and not any(isinstance(method, str) for method in methods):
        raise checks.wrong(
            "anomaly_config", config, "'action' and 'notify' alone beside detectors that have their own arguments"
        )
    detectors = [detector_of("anomaly", method, **(options if isinstance(method, str) else {})) for method in methods]
    return detectors, action, notify


ACTIONS = ("flag", "alert", "sample_more", "pause")
"""Actions of an experiment on an anomaly. "flag" marks the event; "alert" also runs the detectors when nothing is read;
"sample_more" requires an adaptive sampler, which samples more around flagged events under any action; "pause" pauses
the experiment."""
