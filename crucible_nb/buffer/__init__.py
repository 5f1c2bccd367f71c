"""The columnar buffer behind `exp.frame()`."""

from crucible_nb.buffer.buffer import HIDDEN, Buffer, time_index

__all__ = ["HIDDEN", "Buffer", "time_index"]
