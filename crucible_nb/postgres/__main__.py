"""`python -m crucible_nb.postgres | psql DATABASE`: the tables, for a role that may create them."""

from crucible_nb.postgres.tables import script

if __name__ == "__main__":
    print(script())  # noqa: T201
