"""Configuration of the documentation site; `make docs` builds it with warnings as errors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from parts.inventories import packed

import crucible_nb

project = "crucible_nb"
author = "The crucible_nb developers"
version = release = crucible_nb.__version__
extensions = [
    "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode",
    "sphinx.ext.intersphinx", "sphinx_copybutton", "sphinx_design", "parts.api", "parts.backticks", "parts.tutorials",
]  # fmt: skip
exclude_patterns = ["parts", "inventories", "_build"]
nitpicky = True
# aliases of types, and records that no user builds
_ALIASES = "Learn|Where|By|Hook|Metric|Status|Record|Report|Unit|Schema|Executor|Shape|_Entry"
_INTERNAL = "F|CompareOptions|ColumnStates|SharedValues|Recorder|RandomStream"
nitpick_ignore_regex = [("py:class", rf"{_ALIASES}|(.*\.)?({_INTERNAL})")]
suppress_warnings = ["myst.header"]  # tables of measurements are written by a script, with headings of one size

# Guides are Markdown whose examples run as tests; notebooks are executed by nbval, and shown as they are.
nb_execution_mode = "off"
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autosummary_generate = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_use_rtype = False
napoleon_use_ivar = True
add_module_names = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The build needs no network: the names we link to are listed in inventories/.
intersphinx_mapping = packed(Path(__file__).parent / "inventories", Path(__file__).parent / "_build" / "inventories")

html_theme = "pydata_sphinx_theme"
html_title = "crucible_nb"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": True,
    "show_toc_level": 2,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
}
