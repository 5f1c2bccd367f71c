"""The public names, with the arguments of each and their defaults, as lines of text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import crucible_nb as cr
import crucible_nb.comparison
import crucible_nb.metrics
import crucible_nb.testing

PARTS = ("Cost", "Latency", "Reliability", "Span", "Summary", "Tokens")  # of `Metrics`
HELD = ("Experiment", "CrucibleAccessor", "Metrics", "Events", "Given", "ConfidenceSequence", "span", "plot", "planned")


def lines() -> Iterator[str]:
    """All of them, sorted: a name that goes or an argument that changes is a line that differs."""
    yield from sorted(
        {f"cr.__all__ {name}" for name in cr.__all__} | {f"dir(cr) {name}" for name in dir(cr)} | set(walk())
    )


def walk() -> Iterator[str]:
    spaces = {"cr": cr, "cr.comparison": crucible_nb.comparison, "cr.testing": crucible_nb.testing}
    spaces |= {f"cr.{name}": thing for name in cr.__all__ if isinstance(thing := getattr(cr, name), ModuleType)}
    for prefix, space in spaces.items():
        for name in space.__all__ if hasattr(space, "__all__") else ():
            yield from thing_lines(f"{prefix}.{name}", getattr(space, name))
    for name in PARTS:
        yield from thing_lines(f"metrics.{name}", getattr(crucible_nb.metrics, name))
    exp = cr.start("face")
    exp.plan("latency_ms", margin=0.1, sample_size=10)
    for name, thing in {
        "exp.record": exp.record, "exp.plot": type(exp.plot), "span": type(exp.span("x")), "planned": type(exp.planned)
    }.items():  # fmt: skip
        yield from thing_lines(name, thing)
    exp.stop()


def thing_lines(name: str, thing: Any) -> Iterator[str]:
    if inspect.isclass(thing):
        yield f"class {name}{arguments(thing) if made_by_users(name, thing) else ''}"
        for member in sorted(members(thing)):
            found = inspect.getattr_static(thing, member)
            if isinstance(found, (staticmethod, classmethod)) or inspect.isfunction(found):
                yield f"{name}.{member}{arguments(getattr(thing, member))}"
            else:
                yield f"{name}.{member}"
    elif callable(thing):
        yield f"{name}{arguments(thing)}"
    elif not isinstance(thing, ModuleType):
        yield name


def made_by_users(name: str, cls: type) -> bool:
    """Other classes are handed out; how they are constructed is internal."""
    return not (
        name.rsplit(".", maxsplit=1)[-1] in HELD
        or issubclass(cls, BaseException)
        or getattr(cls, "_is_protocol", False)
    )


def members(cls: type) -> set[str]:
    """Public attributes that classes of this package give it."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("crucible_nb")]
    return {name for base in ours for name in vars(base) if not name.startswith("_")}


def arguments(thing: Any) -> str:
    signature = inspect.signature(thing)
    parts = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    text = str(signature.replace(parameters=parts, return_annotation=inspect.Signature.empty))
    return re.sub(r" at 0x[0-9a-f]+", "", text)
