"""`python -m crucible_nb.postgres [ROLE] | psql DATABASE`: the tables, and what a role needs that writes to them."""

from __future__ import annotations

import sys

from crucible_nb.postgres.tables import rights, script

if __name__ == "__main__":
    print(script() + "".join(map(rights, sys.argv[1:])))  # noqa: T201
