"""`%load_ext crucible_nb`: register the magic, its completion and its hooks with a shell, and remove them again."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from crucible_nb.notebook.cell_spans import transform_header
from crucible_nb.notebook.completion import ArgumentValues, complete
from crucible_nb.notebook.magic import Magic

_LOADED: WeakKeyDictionary[Any, ShellHooks] = WeakKeyDictionary()


class ShellHooks:
    """The magic, input transformer, event callback and completer of one shell.

    Args:
        shell: An IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        magic = Magic(shell)
        self._function, self._end, self._matcher = magic.function(), magic.cells.end, _matcher(magic)

    def add(self, shell: Any) -> None:
        """Register everything with the shell."""
        shell.register_magic_function(self._function, "line_cell", "crucible")
        shell.input_transformers_cleanup.append(transform_header)
        shell.events.register("post_run_cell", self._end)
        shell.Completer.custom_matchers.append(self._matcher)

    def remove(self, shell: Any) -> None:
        """Remove everything from the shell; experiments keep running."""
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("crucible", None)
        shell.input_transformers_cleanup.remove(transform_header)
        shell.events.unregister("post_run_cell", self._end)
        shell.Completer.custom_matchers.remove(self._matcher)


def load(shell: Any) -> None:
    """Register the magic with a shell, once."""
    if shell not in _LOADED:
        _LOADED[shell] = ShellHooks(shell)
        _LOADED[shell].add(shell)


def unload(shell: Any) -> None:
    """Remove the magic from a shell, if it is registered."""
    if shell in _LOADED:
        _LOADED.pop(shell).remove(shell)


def _matcher(magic: Magic) -> Any:
    values = ArgumentValues(magic)

    @context_matcher()  # type: ignore[untyped-decorator]
    def crucible_matcher(context: CompletionContext) -> dict[str, Any]:
        completions = complete(context.text_until_cursor, values)
        if completions is None:
            return {"completions": []}
        offered = [SimpleCompletion(text, type="magic") for text in completions.texts]
        return {
            "completions": offered,
            "suppress": bool(offered) or not completions.is_path,
            "matched_fragment": completions.fragment,
            "ordered": True,
        }

    return crucible_matcher
