"""The page of a report: one self-contained HTML file that runs no script and asks for nothing."""

from __future__ import annotations

import base64
import hashlib
import platform
import sys
from collections.abc import Mapping, Sequence
from html import escape
from importlib import metadata
from typing import Any

from crucible_nb.reports import course, origin, summary
from crucible_nb.reports.arms import ReportArm
from crucible_nb.reports.charts import letter
from crucible_nb.reports.interactive import Interactive
from crucible_nb.reports.markup import paragraph, points, section
from crucible_nb.reports.style import STYLE
from crucible_nb.reports.verdicts import verdicts

_PACKAGES = ("crucible_nb", "numpy", "pandas", "scipy", "statsmodels", "pyarrow")
_NUMBERS = (
    "Counts, totals, means, variances and extremes are exact over every event, also those that sampling dropped. "
    "Quantiles are exact up to 2,048 values; beyond, they come from a histogram whose error bound stands beside them."
)
_COURSE = (
    "Charts and windows are computed from the kept rows, in round steps of UTC time; quantiles in them are exact. "
    "The length of a step is chosen so that it holds 30 events on average."
)


def page(
    arms: Sequence[ReportArm],
    title: str,
    links: Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None,
    made_at: str | None = None,
    drawn: Interactive | None = None,
) -> str:
    """Return the page.

    Args:
        arms: The arms, at least one.
        title: Title, escaped here.
        links: Links that save the events.
        arguments: Arguments of `cr.compare`, for several arms.
        made_at: Time that the page says it was made at; None to say none, so that it depends on the events alone.
        drawn: Figures that can be zoomed; None for none.
    """
    shown, methods = summary.estimates(arms)
    parts = _single(arms[0], shown) if len(arms) == 1 else _several(arms, shown, arguments or {})
    parts += [
        section(
            "All numbers",
            *(summary.all_numbers(arms[at : at + _SIDE_BY_SIDE]) for at in range(0, len(arms), _SIDE_BY_SIDE)),
        ),
        section("Methods", points([_NUMBERS, _COURSE, *methods])),
        section("Made with", paragraph(_versions()), paragraph("" if made_at is None else f"Made at {made_at}.")),
    ]
    if links:
        parts.insert(-2, section("Events", "".join(links)))
    if drawn is not None:
        figures = section("Figures to zoom", drawn.figures).replace("<section>", '<section class="screen">', 1)
        parts.insert(3 if len(arms) > 1 else 2, figures)
    head = f"<header><h1>{escape(title)}</h1>{paragraph(_subtitle(arms))}</header>"
    return _document(title, f"{head}<main>{''.join(parts)}</main>", drawn or Interactive())


_SIDE_BY_SIDE = 4  # arms in a table of numbers, so that it fits on paper


def _single(arm: ReportArm, estimates: str) -> list[str]:
    return [
        section("Summary", summary.cards(arm), estimates),
        section("Course", course.charts([arm]), course.windows(arm)),
        section("Incidents", course.incidents(arm), course.alerts(arm), course.errors(arm))
        or section("Incidents", paragraph("None: no incidents, alerts or errors.")),
        section("Groups", summary.groups(arm)),
        section("Sampling", origin.sampling(arm)),
        section("Losses", origin.losses(arm)),
        section("Provenance", origin.provenance(arm)),
    ]


def _several(arms: Sequence[ReportArm], estimates: str, arguments: Mapping[str, Any]) -> list[str]:
    parts = [
        verdicts(arms, arguments),
        section("Summary", summary.overview(arms), estimates),
        section("Course", course.charts(arms)),
    ]
    for at, arm in enumerate(arms):
        inside = (
            course.incidents(arm), course.alerts(arm), course.errors(arm), summary.groups(arm),
            section("Sampling", origin.sampling(arm), level=3), section("Losses", origin.losses(arm), level=3),
            section("Provenance", origin.provenance(arm), level=3),
        )  # fmt: skip
        parts.append(section(f"{letter(at)} {arm.name}", *inside))
    return parts


def _subtitle(arms: Sequence[ReportArm]) -> str:
    if len(arms) > 1:
        return f"{len(arms)} arms, {sum(arm.metrics.events for arm in arms):,} events"
    [arm] = arms
    facts = arm.facts
    span = arm.metrics.span
    times = f", {span.start:%Y-%m-%d %H:%M:%S} to {span.end:%Y-%m-%d %H:%M:%S} UTC" if arm.metrics.events else ""
    hypothesis = f". Hypothesis: {arm.words(arm.experiment.hypothesis, 300)}" if arm.experiment.hypothesis else ""
    return f"{facts['status']}, {arm.metrics.events:,} events{times}{hypothesis}"


def _versions() -> str:
    own = sys.modules[__name__.partition(".")[0]].__version__
    found = [f"Python {platform.python_version()}", f"crucible_nb {own}"]
    found += [f"{name} {metadata.version(name)}" for name in _PACKAGES[1:]]
    return ", ".join(found) + "."


def _document(title: str, body: str, drawn: Interactive) -> str:
    """Wrap a body; the policy allows this stylesheet and nothing else, but for figures that are interactive."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    allowed = drawn.policy or f"style-src 'sha256-{digest}'"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}{drawn.scripts}</body></html>\n"
    )
