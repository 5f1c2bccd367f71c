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


def of_planned(count: int, planned: int | None, *, share: bool = True) -> str:
    """Format a number of events beside the number that was planned; more than planned is no share.

    Args:
        count: Number so far.
        planned: Number planned; None for none.
        share: Whether to tell the percentage.

    Examples:
        >>> of_planned(750, 1500), of_planned(3000, 1500), of_planned(3, None)
        ('750 of 1,500 (50%)', '3,000 (1,500 planned)', '3')
    """
    if planned is None:
        return f"{count:,}"
    if count > planned:
        return f"{count:,} ({planned:,} planned)"
    return f"{count:,} of {planned:,}" + (f" ({count / planned:.0%})" if share else "")
