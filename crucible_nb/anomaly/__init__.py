"""Anomaly detectors: causal scores, reasons and incidents, with few false alarms."""

from crucible_nb.anomaly.auto import Auto
from crucible_nb.anomaly.base import Detector, Given, Verdict
from crucible_nb.anomaly.cusum import CUSUM
from crucible_nb.anomaly.ewma import EWMA
from crucible_nb.anomaly.incidents import Incident, Incidents
from crucible_nb.anomaly.iqr import IQR
from crucible_nb.anomaly.isolation_forest import IsolationForest
from crucible_nb.anomaly.modified_z_score import ModifiedZScore
from crucible_nb.anomaly.offline import anomalies, score
from crucible_nb.anomaly.one_by_one import OneByOne
from crucible_nb.anomaly.recursions import Scores
from crucible_nb.anomaly.refitted import Refitted
from crucible_nb.anomaly.registry import detector_of, detectors_of
from crucible_nb.anomaly.windowed import Windowed
from crucible_nb.anomaly.z_score import ZScore

__all__ = [
    "CUSUM",
    "EWMA",
    "IQR",
    "Auto",
    "Detector",
    "Given",
    "Incident",
    "Incidents",
    "IsolationForest",
    "ModifiedZScore",
    "OneByOne",
    "Refitted",
    "Scores",
    "Verdict",
    "Windowed",
    "ZScore",
    "anomalies",
    "detector_of",
    "detectors_of",
    "score",
]
