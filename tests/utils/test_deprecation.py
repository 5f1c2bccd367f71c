"""What goes is warned of at the user's own line."""

from __future__ import annotations

import pytest

from crucible_nb.utils.deprecation import warn_deprecated


def test_the_warning_names_the_line_that_uses_it() -> None:
    with pytest.warns(FutureWarning, match=r"^cr\.old is deprecated and goes in crucible_nb 0\.3\.0$") as caught:
        warn_deprecated("cr.old", "0.3.0")
    assert caught[0].filename == __file__
