"""No row is lost or copied twice, whatever happens to the server; long run: `python -m tests.store.postgres.outage`."""

from __future__ import annotations

import pytest

from tests.store.postgres import outage


@pytest.mark.check
def test_immediate_stops(server, url):
    found = outage.stops(server, url, 3)
    assert (found.times, found.lost, found.double) == (3, 0, 0)


def test_cut_replies_to_commit(server, url):
    found = outage.cuts(server, url.split("?")[0].rpartition("/")[2], 8)
    assert found.times >= 8
    assert (found.lost, found.double) == (0, 0)


def test_the_harness_sees_what_a_plain_retry_does(server, url, monkeypatch):
    """The planted bug: a copy that trusts its own memory instead of the watermark copies rows twice."""
    from crucible_nb.store.postgres import load, replicator

    own = {}

    def watermarks(connection, identity):
        return dict(own.get(identity, {}))

    def copy_changes(connection, key, mark, changes, *, plain=False):
        for after in real(connection, key, mark, changes, plain=plain):
            own.setdefault(key[0], {})[key[1]] = after
            yield after

    real = replicator.copy_changes
    monkeypatch.setattr(replicator, "copy_changes", copy_changes)
    monkeypatch.setattr(replicator, "watermarks", watermarks)
    monkeypatch.setattr(
        load,
        "_ADVANCE",
        load._ADVANCE.replace("and next_seq = %(was)s and sample_from is not distinct from %(open)s", ""),
    )
    found = outage.cuts(server, url.split("?")[0].rpartition("/")[2], 4)
    assert found.double
