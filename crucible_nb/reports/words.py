"""Texts of a report: secrets removed, one printable line, limited length; and the same for the rows it embeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from crucible_nb.store.redaction import Redaction, redact_value
from crucible_nb.utils.text import brief


class Words:
    """Prepares what users and models wrote for a file that is handed on.

    Args:
        redaction: Removes secrets; None keeps all texts.

    Examples:
        >>> from crucible_nb import Redaction
        >>> Words(Redaction())("my key is sk-abcdefghijklmnop1234")
        'my key is [redacted]'
    """

    def __init__(self, redaction: Redaction | None) -> None:
        self._redaction = redaction

    def __call__(self, text: object, max_length: int = 80) -> str:
        """Return a text without secrets, on one line, shortened in its middle."""
        return brief(redact_value(self._redaction, "text", str(text)) or "", max_length)

    def value(self, name: str, value: Any, max_length: int = 200) -> str:
        """Return a value that is shown under a name; names such as `api_key` hide it."""
        return brief(redact_value(self._redaction, name, value), max_length)

    def plain(self, name: str, value: Any) -> Any:
        """Return plain data without secrets, in full."""
        return redact_value(self._redaction, name, value)

    def frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows whose texts have no secrets; each different text is checked once.

        Args:
            rows: Rows with columns of text, categories, numbers, booleans and times.
        """
        if self._redaction is None:
            return rows
        changed = {}
        for name in rows.columns:
            column = rows[name]
            if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(column.dtype):
                found = self._changes(str(name), column)
                if found:
                    replaced = column.astype(object).map(lambda text, found=found: found.get(text, text))
                    changed[name] = replaced.astype(
                        "category" if isinstance(column.dtype, pd.CategoricalDtype) else "str"
                    )
        cleaned = rows.assign(**changed) if changed else rows
        cleaned.attrs = dict(rows.attrs)
        return cleaned

    def _changes(self, name: str, column: pd.Series) -> Mapping[Any, Any]:
        redaction = self._redaction
        assert redaction is not None
        clean = redaction.json if name == "metadata" else (lambda name, text: redact_value(redaction, name, text))
        pairs = ((text, clean(name, text)) for text in column.dropna().unique())
        return {text: new for text, new in pairs if new != text}
