"""How the site is built (`make docs`).

Sources are Markdown files of the whole repository, so that the same relative links work here and
where the files are read in place: docs/, the results with their figures, the change log.
"""

import sys
from datetime import date
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `generated`

import longlag

project = "longlag"
author = "the longlag developers"
copyright = f"{date.today().year}, {author}"
release = longlag.__version__
language = "en"
highlight_language = "text"
smartquotes_action = "q"  # two hyphens begin a flag

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "generated",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "results/*.md",
    "results/*/*.md",
    "results/*/*/table.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = ["docs/_*", "**/.ipynb_checkpoints"]

myst_enable_extensions = ["colon_fence", "fieldlist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # its outputs are stored in it, and a test holds them
myst_links_external_new_tab = False

# -- the reference ---------------------------------------------------------------------------

default_role = "code"  # `x` in a docstring is code
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_mock_imports = [
    name
    for name in ("distributed", "jax", "onnx", "onnxruntime", "safetensors", "torch")
    if not find_spec(name)
]
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
add_module_names = False

# Types of other libraries, whose sites a build must not need; and those that are not documented.
nitpick_ignore_regex = [
    (r"py:class", r"longlag\.settings\.P"),  # a type variable
    (
        r"py:.*",
        r"(np|numpy|matplotlib|PIL|torch|nn|os|pathlib|sqlite3|concurrent|collections|contextlib"
        r"|typing|zipfile)\..*",
    ),
    (r"py:class", "Counts"),  # of a field that classes of other modules inherit
    (r"py:class", "Tensor|Module"),  # torch's, where torch is not installed
]


# -- how it looks ----------------------------------------------------------------------------

html_theme = "furo"
html_title = f"longlag {release}"
html_static_path = ["_static"]
html_css_files = ["longlag.css"]
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_last_updated_fmt = None
pygments_style, pygments_dark_style = "friendly", "github-dark"
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0f5c8c",
        "color-brand-content": "#0f5c8c",
        "color-api-name": "#0f5c8c",
        "color-api-pre-name": "#5b6770",
        "font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
        "font-stack--monospace": "ui-monospace, 'SF Mono', Menlo, 'DejaVu Sans Mono', monospace",
    },
    "dark_css_variables": {
        "color-brand-primary": "#6fb7e9",
        "color-brand-content": "#6fb7e9",
        "color-api-name": "#6fb7e9",
        "color-api-pre-name": "#9aa5ad",
    },
}
copybutton_exclude = ".linenos, .gp, .go"

linkcheck_timeout = 20
linkcheck_retries = 2
