"""Copies of experiments in PostgreSQL: address, tables, the thread that copies, and reading.

The journal in a local folder is authoritative. psycopg is imported only where it is used.
"""

from crucible_nb.store.postgres.address import Address, address_of

__all__ = ["Address", "address_of"]
