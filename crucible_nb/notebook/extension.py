"""`%load_ext crucible_nb`: what is hung into a shell, and taken out again."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from crucible_nb.notebook.cell_spans import header
from crucible_nb.notebook.completion import Values, offer
from crucible_nb.notebook.magic import Magic

_LOADED: WeakKeyDictionary[Any, Hooks] = WeakKeyDictionary()


class Hooks:
    """All that one shell was given.

    Args:
        shell: An IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        magic = Magic(shell)
        self._function, self._end, self._matcher = magic.function(), magic.cells.end, _matcher(magic)

    def add(self, shell: Any) -> None:
        """Hang it in."""
        shell.register_magic_function(self._function, "line_cell", "crucible")
        shell.input_transformers_cleanup.append(header)
        shell.events.register("post_run_cell", self._end)
        shell.Completer.custom_matchers.append(self._matcher)

    def remove(self, shell: Any) -> None:
        """Take it out; experiments go on."""
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("crucible", None)
        shell.input_transformers_cleanup.remove(header)
        shell.events.unregister("post_run_cell", self._end)
        shell.Completer.custom_matchers.remove(self._matcher)


def load(shell: Any) -> None:
    """Hang the magic into a shell, once."""
    if shell not in _LOADED:
        _LOADED[shell] = Hooks(shell)
        _LOADED[shell].add(shell)


def unload(shell: Any) -> None:
    """Take it out of a shell, if it is there."""
    if shell in _LOADED:
        _LOADED.pop(shell).remove(shell)


def _matcher(magic: Magic) -> Any:
    values = Values(magic)

    @context_matcher()  # type: ignore[untyped-decorator]
    def crucible_matcher(context: CompletionContext) -> dict[str, Any]:
        found = offer(context.text_until_cursor, values)
        if found is None:
            return {"completions": []}
        offered = [SimpleCompletion(text, type="magic") for text in found.texts]
        return {
            "completions": offered, "suppress": bool(offered), "matched_fragment": found.fragment, "ordered": True,
        }  # fmt: skip

    return crucible_matcher
