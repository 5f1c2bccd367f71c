"""From what users hand in, calls and tables, to typed batches."""

from crucible_nb.ingest.plain import EXTRA, PLAIN, Rest, json_of, plain_of, scalar
from crucible_nb.ingest.rows import WIDTH, Columns, batch_of_rows
from crucible_nb.ingest.staging import merged, row_of, settled
from crucible_nb.ingest.tables import DROPPED, batches_of_frame, frame_of, rows_of, times_of, weights_of

__all__ = [
    "DROPPED",
    "EXTRA",
    "PLAIN",
    "WIDTH",
    "Columns",
    "Rest",
    "batch_of_rows",
    "batches_of_frame",
    "frame_of",
    "json_of",
    "merged",
    "plain_of",
    "row_of",
    "rows_of",
    "scalar",
    "settled",
    "times_of",
    "weights_of",
]
