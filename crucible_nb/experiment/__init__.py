"""The experiment that a user holds: start, attach, record, pause, read, watch."""

from crucible_nb.experiment.experiment import Experiment, arrived

__all__ = ["Experiment", "arrived"]
