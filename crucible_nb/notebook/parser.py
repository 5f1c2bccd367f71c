"""Parse a line of text into arguments; an error is one line that says what is accepted."""

from __future__ import annotations

import ast
import re
import shlex
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from crucible_nb.notebook.commands import CELL, COMMANDS, Argument, Command
from crucible_nb.utils.checks import suggestion

_UNFILLED = re.compile(r"\{(?P<braces>[A-Za-z_][^{}\s]*)\}|\$(?P<dollar>[A-Za-z_]\w*)")
_F_STRING = re.compile(r"""(?:^|\s)[fF][rR]?["']""")


class HelpRequested(Exception):  # noqa: N818  it is no error
    """Raised by --help; the message is the help text."""


class Parser(MagicArgumentParser):
    """IPython's parser with a --help that does not end the kernel; omitted arguments are absent from the result."""

    def __init__(self, **options: Any) -> None:
        options.pop("color", None)  # passed by Python 3.14, unknown to IPython
        super().__init__(argument_default=SUPPRESS, **options)  # type: ignore[no-untyped-call]
        self.add_argument("-h", "--help", action="help", help="show this")

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError; words that are left over get a hint."""
        unknown, _, words = message.partition("unrecognized arguments: ")
        if not unknown and words.startswith("#"):
            message += "; a comment needs a line of its own"
        elif not unknown and not words.startswith("-"):
            message += "; a value with spaces needs quotes, and several values have commas without spaces"
        elif not unknown:
            options = [flag for action in self._actions for flag in action.option_strings]
            message += suggestion(words.split()[0], [*options, *(f for c in COMMANDS.values() for f in _flags(c))])
        raise UsageError(message)

    def print_help(self, file: Any = None) -> NoReturn:  # noqa: ARG002  argparse's own signature
        """Raise `HelpRequested`."""
        raise HelpRequested(self.format_help())


def parser() -> Parser:
    """Build the parser of `%crucible`.

    Examples:
        >>> vars(parser().parse_args(["metrics", "--last", "5min"]))
        {'command': 'metrics', 'last': '5min'}
    """
    top = Parser(prog="crucible", description="Experiments of this kernel; `%crucible COMMAND --help` for each.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, command in COMMANDS.items():
        texts: dict[str, Any] = {"help": command.description, "description": command.description}
        _add_arguments(commands.add_parser(name, prog=f"crucible {name}", **texts), command)
    return top


def cell_parser() -> Parser:
    """Build the parser of a `%%crucible` header.

    Examples:
        >>> cell_parser().parse_args(["demo", "--seed", "1"]).seed
        1
    """
    return _add_arguments(Parser(prog="%crucible", description=CELL.description), CELL)


def full_help() -> str:
    """Return the help of all commands, for `%crucible?`."""
    parsers = (
        _add_arguments(Parser(prog=f"crucible {name}", description=command.description), command)
        for name, command in COMMANDS.items()
    )
    return "\n\n".join(part.format_help().strip() for part in (parser(), *parsers, cell_parser()))


def _flags(command: Command) -> list[str]:
    return [flag for argument in command.arguments for flag in argument.flags if flag.startswith("--")]


def split_line(line: str) -> tuple[list[str], bool]:
    """Split a line into words; also return whether it ends in a semicolon, which suppresses the output.

    Raises:
        UsageError: A quotation is not closed.

    Examples:
        >>> split_line('compare "my run" other;')
        (['compare', 'my run', 'other'], True)
    """
    reader = shlex.shlex(line.strip().removesuffix(";"), posix=True, punctuation_chars=False)
    reader.whitespace_split, reader.commenters, reader.escape = True, "", ""
    try:
        return list(reader), line.rstrip().endswith(";")
    except ValueError:
        raise UsageError(
            f"{line.strip()}: unclosed quote; a text that has one needs quotes of the other kind"
        ) from None


def refuse_unfilled(line: str) -> None:
    """Refuse `{name}` and `$name` that IPython left because there is no such variable, and f-strings.

    Raises:
        UsageError: One is left.

    Examples:
        >>> refuse_unfilled("start 'my run' --store runs/")
        >>> refuse_unfilled("start $nope")
        Traceback (most recent call last):
        ...
        IPython.core.error.UsageError: $nope: there is no variable 'nope' to fill it from
    """
    left = _UNFILLED.search(line)
    if left is not None:
        name = left["braces"] or left["dollar"]
        raise UsageError(f"{left[0].strip()}: there is no variable {name!r} to fill it from")
    prefix = _F_STRING.search(line)
    if prefix is not None:
        raise UsageError(f"{prefix[0].strip()}...: no f-string is needed; {{name}} and $name are filled on this line")


def expand_path(text: str) -> str:
    """Expand `~` in a path; a URL stays as it is.

    Examples:
        >>> expand_path("runs"), expand_path("postgresql://me@db/telemetry")
        ('runs', 'postgresql://me@db/telemetry')
    """
    if not text:
        raise _error(text, "a path")
    return text if "://" in text else str(Path(text).expanduser())


def _add_arguments(command_parser: Parser, command: Command) -> Parser:
    for argument in command.arguments:
        command_parser.add_argument(*argument.flags, help=argument.description, **_options(argument))
    return command_parser


def _options(argument: Argument) -> dict[str, Any]:
    if argument.value_type == "switch":
        return {"action": "store_true"}
    options: dict[str, Any] = {"type": _CONVERTERS.get(argument.value_type, str)}
    if argument.multiple:
        options["type"] = _split
    elif argument.choices:
        options["choices"] = argument.choices
    if argument.positional:
        options["metavar"] = argument.flags[0].upper()
        if not argument.required:
            options["nargs"] = "?"
    elif not argument.choices or argument.multiple:
        options["metavar"] = argument.value_type.upper() + (",..." if argument.multiple else "")
    return options


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _variable(text: str) -> str:
    if not text.isidentifier():
        raise _error(text, "the name of a variable")
    return text


def _integer(text: str) -> int:
    try:
        return int(text.replace("_", "").replace(",", ""))
    except ValueError:
        raise _error(text, "a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _error(text, "a number") from None


def _pairs(text: str) -> dict[str, Any]:
    pairs = [part.partition("=") for part in _split(text)]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise _error(text, "NAME=VALUE, several separated by commas")
    return {name.strip(): _value(value.strip()) for name, _, value in pairs}


def _value(text: str) -> Any:
    """Parse a number, True, False or None; other text stays text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _error(text: str, accepted: str) -> ArgumentTypeError:
    return ArgumentTypeError(f"{text!r}: expected {accepted}")


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "integer": _integer, "number": _number, "variable": _variable, "pairs": _pairs, "path": expand_path
}  # fmt: skip
