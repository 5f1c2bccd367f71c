"""Datasets larger than memory: states of units of rows, merged in any order to the bits of one frame."""

from crucible_nb.datasets.dataset import Dataset
from crucible_nb.datasets.state import merge, state_of

__all__ = ["Dataset", "merge", "state_of"]
