"""How the pages under docs/ become a site: `make docs`. It needs no network; warnings are errors."""

from __future__ import annotations

from hsm._version import __version__

project = "HSM"
author = "the HSM authors"
copyright = author  # noqa: A001 - Sphinx's name for it
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"HSM {__version__}"
html_copy_source = False
html_show_sphinx = False

nitpicky = True
suppress_warnings = [
    "misc.highlighting_failure",  # a block may show what a wrong file looks like
    "myst.xref_missing",  # pages also link to files outside of docs/; tests/unit/house checks every link
]
