"""From what users hand in, calls and tables, to typed batches."""

from crucible_nb.ingest.rows import WIDTH, Columns, batch_of_rows
from crucible_nb.ingest.staging import Recorder, recorder, row_of
from crucible_nb.ingest.tables import batches_of_frame, frame_of, rows_of, times_of

__all__ = [
    "WIDTH",
    "Columns",
    "Recorder",
    "batch_of_rows",
    "batches_of_frame",
    "frame_of",
    "recorder",
    "row_of",
    "rows_of",
    "times_of",
]
