"""The columnar buffer behind `exp.frame()`."""

from crucible_nb.buffer.buffer import Buffer, time_index

__all__ = ["Buffer", "time_index"]
