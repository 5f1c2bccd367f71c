"""The copy in PostgreSQL: where it is, its tables, the thread that keeps it up to date, and readers of it.

The journal in a local folder stays the truth. psycopg is imported where it is used.
"""

from crucible_nb.store.postgres.address import Address, address_of

__all__ = ["Address", "address_of"]
