"""From a line of text to arguments; every mistake is one line that says what would be accepted."""

from __future__ import annotations

import ast
import shlex
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from crucible_nb.notebook.commands import CELL, COMMANDS, Argument, Command


class HelpWanted(Exception):  # noqa: N818  it is no error
    """Somebody asked for help; the text is the help."""


class Parser(MagicArgumentParser):
    """As IPython's, with a --help that does not end the kernel, and nothing for arguments that are not given."""

    def __init__(self, **options: Any) -> None:
        options.pop("color", None)  # of Python 3.14, where IPython does not know it
        super().__init__(argument_default=SUPPRESS, **options)  # type: ignore[no-untyped-call]
        self.add_argument("-h", "--help", action="help", help="show this")

    def print_help(self, file: Any = None) -> NoReturn:  # noqa: ARG002  argparse's own signature
        """What --help comes to."""
        raise HelpWanted(self.format_help())


def parser() -> Parser:
    """The parser of `%crucible`.

    Examples:
        >>> vars(parser().parse_args(["metrics", "--last", "5min"]))
        {'command': 'metrics', 'last': '5min'}
    """
    top = Parser(prog="crucible", description="Experiments of this kernel; `%crucible COMMAND --help` for each.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, command in COMMANDS.items():
        said: dict[str, Any] = {"help": command.says, "description": command.says}
        _filled(commands.add_parser(name, prog=f"crucible {name}", **said), command)
    return top


def cell_parser() -> Parser:
    """The parser of a `%%crucible` header.

    Examples:
        >>> cell_parser().parse_args(["demo", "--seed", "1"]).seed
        1
    """
    return _filled(Parser(prog="%crucible", description=CELL.says), CELL)


def manual() -> str:
    """Everything there is to say, for `%crucible?`."""
    each = (_filled(Parser(prog=f"crucible {name}", description=one.says), one) for name, one in COMMANDS.items())
    return "\n\n".join(part.format_help().strip() for part in (parser(), *each, cell_parser()))


def words(line: str) -> tuple[list[str], bool]:
    """The words of a line, and whether it ends in a semicolon, which keeps the result from being shown.

    Raises:
        UsageError: A quotation that does not end.

    Examples:
        >>> words('compare "my run" other;')
        (['compare', 'my run', 'other'], True)
    """
    reader = shlex.shlex(line.strip().removesuffix(";"), posix=True, punctuation_chars=False)
    reader.whitespace_split, reader.commenters, reader.escape = True, "", ""
    try:
        return list(reader), line.rstrip().endswith(";")
    except ValueError:
        raise UsageError(f"{line.strip()}: expected a quotation that ends") from None


def path(text: str) -> str:
    """A path with `~` filled in; a URL as it is.

    Examples:
        >>> path("runs"), path("postgresql://me@db/telemetry")
        ('runs', 'postgresql://me@db/telemetry')
    """
    if not text:
        raise _expected(text, "a path")
    return text if "://" in text else str(Path(text).expanduser())


def _filled(into: Parser, command: Command) -> Parser:
    for argument in command.arguments:
        into.add_argument(*argument.flags, help=argument.says, **_options(argument))
    return into


def _options(argument: Argument) -> dict[str, Any]:
    if argument.takes == "switch":
        return {"action": "store_true"}
    options: dict[str, Any] = {"type": _READ.get(argument.takes, str)}
    if argument.many:
        options["type"] = _listed
    elif argument.choices:
        options["choices"] = argument.choices
    if argument.positional:
        options["metavar"] = argument.flags[0].upper()
        if not argument.needed:
            options["nargs"] = "?"
    elif not argument.choices or argument.many:
        options["metavar"] = argument.takes.upper() + (",..." if argument.many else "")
    return options


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _variable(text: str) -> str:
    if not text.isidentifier():
        raise _expected(text, "the name of a variable")
    return text


def _whole(text: str) -> int:
    try:
        return int(text.replace("_", "").replace(",", ""))
    except ValueError:
        raise _expected(text, "a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _expected(text, "a number") from None


def _pairs(text: str) -> dict[str, Any]:
    found = [part.partition("=") for part in _listed(text)]
    if not all(name.strip() and equals for name, equals, _ in found):
        raise _expected(text, "NAME=VALUE, several parted by commas")
    return {name.strip(): _value(value.strip()) for name, _, value in found}


def _value(text: str) -> Any:
    """A number, True, False or None where it is one, else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _expected(text: str, accepted: str) -> ArgumentTypeError:
    return ArgumentTypeError(f"{text!r}: expected {accepted}")


_READ: dict[str, Callable[[str], Any]] = {
    "whole": _whole, "number": _number, "variable": _variable, "pairs": _pairs, "path": path
}  # fmt: skip
