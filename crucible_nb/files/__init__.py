"""Files: a frame out and the same frame in; foreign files mapped; nothing hostile let in."""

from crucible_nb.files.read import iter_table, load, read_facts
from crucible_nb.files.write import archive, write_table

__all__ = ["archive", "iter_table", "load", "read_facts", "write_table"]
