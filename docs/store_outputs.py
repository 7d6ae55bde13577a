"""Runs the tutorial notebook and stores what it shows.

    python docs/store_outputs.py

Numbers are those of the native kernel, the same on every instruction set. Times are stored as they
were; tests/test_notebook.py compares everything else with what the notebook shows now.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TUTORIAL = Path(__file__).parent / "tutorial.ipynb"


def executed(path: Path, directory: str | Path) -> nbformat.NotebookNode:
    """The notebook, run in a directory, with its outputs and without the times of its cells."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(directory)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        nbformat.write(executed(TUTORIAL, directory), TUTORIAL)
