"""0 lost, 0 double, whatever the server does; the long run is `python -m tests.store.postgres.outage`."""

from __future__ import annotations

from tests.store.postgres import outage


def test_immediate_stops(server, url):
    found = outage.stops(server, url, 3)
    assert (found.times, found.lost, found.double) == (3, 0, 0)


def test_cut_replies_to_commit(server, url):
    found = outage.cuts(server, url.split("?")[0].rpartition("/")[2], 8)
    assert found.times >= 8
    assert (found.lost, found.double) == (0, 0)


def test_the_harness_sees_what_a_plain_retry_does(server, url, monkeypatch):
    """A copy that trusts its own memory instead of the watermark doubles rows: the planted bug."""
    from crucible_nb.store.postgres import load, replicator

    own = {}

    def marks(connection, identity):
        return dict(own.get(identity, {}))

    def put(connection, identity, writer, mark, lot, *, plain=False):
        for then in real(connection, identity, writer, mark, lot, plain=plain):
            own.setdefault(identity, {})[writer] = then
            yield then

    real = replicator.put
    monkeypatch.setattr(replicator, "put", put)
    monkeypatch.setattr(replicator, "marks", marks)
    monkeypatch.setattr(
        load,
        "_MOVE",
        load._MOVE.replace("and next_seq = %(was)s and sample_from is not distinct from %(open)s", ""),
    )
    found = outage.cuts(server, url.split("?")[0].rpartition("/")[2], 4)
    assert found.double
