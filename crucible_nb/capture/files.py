"""Files of other tools as frames of events."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crucible_nb.files import load


def from_otel(path: Any, **arguments: Any) -> pd.DataFrame:
    """Read OpenTelemetry spans as events: OTLP bodies (protobuf or JSON, plain or gzip) or span lists of the SDK.

    Each call of a model is one `llm.request` or `llm.embedding`, tools are `tool.call`, all else is `trace.span`. Of
    calls inside of calls the outer one counts; a call that another library recorded in a trace of its own becomes a
    `trace.span` with `twin_of`. Only attributes of a list are kept, never prompts and answers. `cr.load` and `replay`
    read such files too.

    Args:
        path: The file.
        **arguments: Further arguments of `cr.load`, such as `where`.

    Returns:
        One row per span, indexed by the time of its end (UTC). Missing is NaN or NA: sources hide a lot, see the guide.

    Raises:
        StoreError: The file cannot be read.
        ConfigError: It is protobuf, and the extra `otel` is not installed.

    Examples:
        >>> import json, pathlib, tempfile
        >>> import crucible_nb as cr
        >>> span = {
        ...     "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat gpt-4o-mini",
        ...     "startTimeUnixNano": "1736942400000000000", "endTimeUnixNano": "1736942400812000000",
        ...     "attributes": [
        ...         {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        ...         {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o-mini"}},
        ...         {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "21"}},
        ...     ],
        ... }
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "spans.json"
        >>> _ = path.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))
        >>> cr.capture.from_otel(path)[["event", "model", "latency_ms", "prompt_tokens"]].values.tolist()
        [['llm.request', 'gpt-4o-mini', 812.0, 21]]
    """
    return load(path, **{"format": "otlp", **arguments})
