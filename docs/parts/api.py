"""Writes a page for each family of the API, and links names to where the public finds them."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util import logging

import crucible_nb as cr

from .backticks import to_rest
from .families import ALIASES, FAMILIES, Family

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)

# modules whose whole `__all__` is documented; the rest of the package is not public
PUBLIC = ("", "accumulators", "anomaly", "capture", "comparison", "events", "sampling", "stats", "testing")
_MEMBERS = "\n   :members:\n   :inherited-members: Exception, tuple, dict, list, Mapping, DataFrame\n"
_INDEX = """API
===

Everything is reached through ``import crucible_nb as cr``.

.. toctree::
   :maxdepth: 1

"""


def write_pages(app: Sphinx) -> None:
    """Write `api/*.rst` before the sources are read; a file that would not change is left."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    pages = {f"{family.file}.rst": _page(family) for family in FAMILIES}
    pages["experiment.rst"] += _record(app)
    pages["index.rst"] = _INDEX + "".join(f"   {family.file}\n" for family in FAMILIES)
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _page(family: Family) -> str:
    lines = [family.title, "=" * len(family.title), "", family.text, "", f".. currentmodule:: {family.module}", ""]
    lines += [".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in family.all_names), ""]
    for heading, names in family.names.items():
        lines += [heading, "-" * len(heading), ""] if heading else []
        lines += [_entry(family.module, name) for name in names]
    return "\n".join(lines)


def _record(app: Sphinx) -> str:
    """Document `Experiment.record`, a function that each experiment has of its own."""
    with cr.start("documentation") as exp:
        record = exp.record
    lines = GoogleDocstring(inspect.getdoc(record) or "", app.config).lines()
    to_rest(app, "method", "record", record, None, lines)
    plain = inspect.signature(record)
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in plain.parameters.values()]
    head = f".. py:method:: Experiment.record{plain.replace(parameters=bare, return_annotation=plain.empty)}"
    return "\n".join(["", "Record one event", "----------------", "", head, "", *(f"   {line}" for line in lines), ""])


def _thing(module: str, name: str) -> Any:
    path, _, last = f"{module}.{name}".rpartition(".")
    return getattr(importlib.import_module(path), last)


def _entry(module: str, name: str) -> str:
    thing = _thing(module, name)
    name = f"{module}.{name}" if "." in name else name
    if inspect.isclass(thing):
        return f".. autoclass:: {name}{_MEMBERS}"
    if callable(thing):
        return f".. autofunction:: {name}\n"
    return f".. autodata:: {name}\n   :no-value:\n"


def shown_names() -> dict[str, str]:
    """Map every dotted name by which a public thing can be met to the one under which it is shown."""
    shown = dict(ALIASES)
    for family in FAMILIES:
        for name in family.all_names:
            thing, target = _thing(family.module, name), f"{family.module}.{name}"
            shown[target] = shown[f"crucible_nb.{name}"] = target
            if inspect.isclass(thing) or inspect.isfunction(thing):
                shown[f"{thing.__module__}.{thing.__qualname__}"] = target
    return shown


def resolve(app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, contnode: nodes.TextElement) -> Any:
    """Resolve a reference to a public thing that is written by another of its names."""
    target = node.get("reftarget", "")
    shown: dict[str, str] = app.shown_names  # type: ignore[attr-defined]
    for full in (target, f"crucible_nb.{target}", f"{node.get('py:module')}.{target}"):
        head, _, rest = full.rpartition(".") if full not in shown else (full, "", "")
        if head in shown:
            name = shown[head] + (f".{rest}" if rest else "")
            domain = env.get_domain("py")
            found = domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, contnode)
            if found is not None:
                return found
    return None


def check_all_are_shown(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that no page shows."""
    documented = {name for name, *_ in env.get_domain("py").get_objects()}
    shown: dict[str, str] = app.shown_names  # type: ignore[attr-defined]
    for part in PUBLIC:
        module = importlib.import_module(f"crucible_nb.{part}" if part else "crucible_nb")
        for name in module.__all__:
            full = f"{module.__name__}.{name}"
            if not inspect.ismodule(getattr(module, name)) and shown.get(full) not in documented:
                logger.warning("%s is public, and on no page of the API: add it to docs/api.toml", full)


_CODE = re.compile(r"(?:cr|exp)\.[a-z_A-Z]\w*(?:\.\w+)*")


def link_code(app: Sphinx, doctree: nodes.document) -> None:
    """Make a link of each `cr.name` and `exp.method` in code font."""
    for literal in list(doctree.findall(nodes.literal)):
        text = literal.astext()
        found = _CODE.match(text)
        if not found or isinstance(literal.parent, (addnodes.pending_xref, nodes.reference)):
            continue
        target = _target(found[0])
        if target is not None:
            where = {"refdomain": "py", "reftype": "obj", "reftarget": target, "refdoc": app.env.docname}
            reference = addnodes.pending_xref("", refexplicit=False, refwarn=False, **where)
            literal.replace_self(reference)
            reference += literal


def _target(code: str) -> str | None:
    """Return the dotted name of `cr.x.y` or `exp.x`, up to what exists; None if there is no such thing."""
    head, *parts = code.split(".")
    thing: Any = cr if head == "cr" else cr.Experiment
    name = "crucible_nb" if head == "cr" else "crucible_nb.Experiment"
    for part in parts:
        declared = part in getattr(thing, "__annotations__", {})
        thing = getattr(thing, part, None)
        if thing is None and not declared:  # `Experiment.record` is made for each experiment
            break
        name = ALIASES.get(f"{name}.{part}", f"{name}.{part}")
    return None if name in {"crucible_nb", "crucible_nb.Experiment"} or inspect.ismodule(thing) else name


def setup(app: Sphinx) -> None:
    """Connect to the events of a build."""
    app.shown_names = shown_names()  # type: ignore[attr-defined]
    app.connect("builder-inited", write_pages)
    app.connect("doctree-read", link_code)
    app.connect("missing-reference", resolve)
    app.connect("env-check-consistency", check_all_are_shown)
