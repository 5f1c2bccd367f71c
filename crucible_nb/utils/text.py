"""Names as people read them: on one line, without control characters, not endless."""

from __future__ import annotations


def brief(text: object, most: int = 60) -> str:
    r"""The text as one printable line of at most `most` characters; what is left out is in the middle.

    Args:
        text: Anything; what is no text as `str` has it.
        most: From 3.

    Examples:
        >>> brief("gpt-4o"), brief("two\nlines"), brief("abcdefghijklmnop", 9)
        ('gpt-4o', 'two\\nlines', 'abcdef…op')
    """
    line = plain(str(text)[: 50 * most])
    if len(line) <= most:
        return line
    tail = max((most - 1) // 3, 1)
    return f"{line[: most - 1 - tail]}…{line[-tail:]}"


def plain(text: str) -> str:
    r"""The text with what cannot be printed written as Python would.

    Examples:
        >>> plain("two\nlines")
        'two\\nlines'
    """
    return text if text.isprintable() else "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
