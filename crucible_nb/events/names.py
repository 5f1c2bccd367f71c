"""The registry of standard event names, `cr.events`. Other names may be recorded as well."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from crucible_nb.errors import ConfigError
from crucible_nb.utils import checks

__all__ = ["EventInfo", "by_category", "info", "standard"]

_CALL = ("latency_ms", "success", "error")
_TOKENS = ("model", "provider", "prompt_tokens", "completion_tokens", "cost_usd")
_TRAINING = ("epoch", "batch", "step", "loss", "accuracy", "learning_rate", "gradient_norm")
_INFERENCE = ("model_name", "model_version", "input_size", "output_size", "batch_size")
_PIPELINE = ("pipeline_id", "stage_name", "stage_index")

# category: name: (description, usual columns, has .start, .stop and .exception)
_TABLE: dict[str, dict[str, tuple[str, tuple[str, ...], bool]]] = {
    "llm": {
        "llm.request": ("one call of a language model", (*_TOKENS, *_CALL), True),
        "llm.stream.chunk": ("one chunk of a streamed answer", ("model", "completion_tokens", "latency_ms"), False),
        "llm.embedding": ("texts turned into vectors", ("model", "prompt_tokens", "cost_usd", *_CALL), False),
    },
    "training": {
        "train.run": ("a whole training run", ("model", *_CALL), True),
        "train.epoch": ("one pass over the training data", (*_TRAINING, "latency_ms"), True),
        "train.batch": ("one batch", (*_TRAINING, "latency_ms"), True),
        "train.step": ("one step of the optimiser", (*_TRAINING, "latency_ms"), False),
        "train.validation": ("a measurement on held-out data", ("epoch", "step", "loss", "accuracy", *_CALL), False),
        "train.checkpoint": ("weights were saved", ("epoch", "step", "checkpoint_path", "latency_ms"), False),
    },
    "inference": {
        "inference.predict": ("one prediction of a model", (*_INFERENCE, "sample_id", *_CALL), True),
        "inference.batch": ("many predictions at once", (*_INFERENCE, *_CALL), False),
        "inference.load": ("a model was loaded", ("model_name", "model_version", *_CALL), False),
    },
    "pipeline": {
        "pipeline.run": ("one run of a pipeline", ("pipeline_id", *_CALL), True),
        "pipeline.stage": ("one stage of a run", (*_PIPELINE, *_CALL), True),
        "cell": ("one notebook cell", _CALL, False),
    },
    "ensemble": {
        "ensemble.predict": ("one answer of an ensemble", ("sample_id", *_CALL), True),
        "ensemble.vote": ("the vote of one member", ("model", "sample_id", "success"), False),
    },
    "hedging": {
        "hedging.request": ("a request that may be doubled", ("model", *_CALL), True),
        "hedging.duplicate": ("the second request was sent", ("model", "latency_ms"), False),
        "hedging.winner": ("the answer that came first", ("model", "latency_ms", "cost_usd"), False),
    },
    "trace": {
        "trace.span": ("a piece of work within a trace", ("session_id", *_CALL), True),
        "trace.decision": ("a decision and its reason", ("session_id", "success"), False),
    },
    "tool": {
        "tool.call": ("one call of a tool", ("session_id", "input_size", "output_size", *_CALL), True),
        "tool.retrieval": ("documents were looked up", ("session_id", "output_size", *_CALL), False),
    },
}

_PHASES = {
    "start": "began",
    "stop": "ended; its latency is known",
    "exception": "failed; `error` is the class of the exception",
}


@dataclass(frozen=True, slots=True)
class EventInfo:
    """Description of a standard event.

    Attributes:
        name: Name of the event, e.g. "train.epoch".
        category: llm, training, inference, pipeline, ensemble, hedging, trace or tool.
        description: One line about the event.
        columns: Columns that it usually has; any other column may be recorded.
        phase: "start", "stop" or "exception" of a longer operation; "" for an event that covers a whole operation.

    Examples:
        >>> from crucible_nb import events
        >>> events.info("llm.request.exception").phase
        'exception'
    """

    name: str
    category: str
    description: str
    columns: tuple[str, ...]
    phase: str = ""


def _registry() -> dict[str, EventInfo]:
    infos = {}
    for category, names in _TABLE.items():
        for name, (description, columns, phased) in names.items():
            infos[name] = EventInfo(name, category, description, columns)
            for phase, meaning in _PHASES.items() if phased else ():
                usual = tuple(column for column in columns if phase != "start" or column not in _CALL)
                text = f"{description}: {meaning}"
                infos[f"{name}.{phase}"] = EventInfo(f"{name}.{phase}", category, text, usual, phase)
    return infos


_REGISTRY = _registry()


def standard() -> tuple[str, ...]:
    """Return the names of all standard events, ordered by category.

    Examples:
        >>> from crucible_nb import events
        >>> "train.epoch" in events.standard(), "llm.request.stop" in events.standard()
        (True, True)
    """
    return tuple(_REGISTRY)


def by_category(category: str | None = None) -> dict[str, tuple[str, ...]] | tuple[str, ...]:
    """Return the standard names by category.

    Args:
        category: Category whose names are returned; None for all.

    Returns:
        Mapping of category to names; a tuple of names when a category is given.

    Raises:
        ConfigError: No such category.

    Examples:
        >>> from crucible_nb import events
        >>> list(events.by_category())
        ['llm', 'training', 'inference', 'pipeline', 'ensemble', 'hedging', 'trace', 'tool']
        >>> events.by_category("ensemble")[-1]
        'ensemble.vote'
    """
    names = {key: tuple(name for name, entry in _REGISTRY.items() if entry.category == key) for key in _TABLE}
    return names if category is None else names[checks.one_of("category", category, names)]


def info(name: str) -> EventInfo:
    """Return the description of a standard event and its usual columns.

    Raises:
        ConfigError: The name is not a standard one; close ones are suggested.

    Examples:
        >>> from crucible_nb import events
        >>> events.info("train.epoch").category
        'training'
        >>> events.info("train.epoc")
        Traceback (most recent call last):
        ...
        crucible_nb.errors.ConfigError: name='train.epoc': unknown event name (did you mean train.epoch?). You may ...
    """
    if name in _REGISTRY:
        return _REGISTRY[name]
    near = difflib.get_close_matches(str(name), _REGISTRY, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ConfigError(f"name={name!r}: unknown event name{hint}. You may still record it.")
