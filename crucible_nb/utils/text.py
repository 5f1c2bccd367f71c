"""Format names for display: one line, no control characters, limited length."""

from __future__ import annotations


def brief(text: object, max_length: int = 60) -> str:
    r"""Shorten a text to one printable line of at most `max_length` characters, omitting its middle.

    Args:
        text: Text, or an object, shown by its `str`.
        max_length: At least 3.

    Examples:
        >>> brief("gpt-4o"), brief("two\nlines"), brief("abcdefghijklmnop", 9)
        ('gpt-4o', 'two\\nlines', 'abcdef…op')
    """
    line = plain(str(text)[: 50 * max_length])
    if len(line) <= max_length:
        return line
    tail = max((max_length - 1) // 3, 1)
    return f"{line[: max_length - 1 - tail]}…{line[-tail:]}"


def plain(text: str) -> str:
    r"""Escape unprintable characters of a text, as Python's `repr` does.

    Examples:
        >>> plain("two\nlines")
        'two\\nlines'
    """
    return text if text.isprintable() else "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
