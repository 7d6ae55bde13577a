"""The documentation site: it builds without a warning, is complete, and leads nowhere in vain."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import longlag
from longlag import cli
from longlag.learning.recipe import RECIPES

pytest.importorskip("sphinx")
pytest.importorskip("myst_nb")

ROOT = Path(__file__).parent.parent
LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    out = tmp_path_factory.mktemp("site")
    words = (
        "-c",
        "docs",
        "-W",
        "--keep-going",
        "-n",
        "-q",
        "-d",
        f"{out}/trees",
        ".",
        f"{out}/site",
    )
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-4000:]
    return out / "site"


class Page(HTMLParser):
    """A page's anchors, links, and what a browser loads to show it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            if (tag, name) in LOADS and value:
                self.loads.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.append(value)


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_link_within_the_site_leads_somewhere(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.name}: {link}: no such file")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors | {""}:
                broken.append(f"{path.name}: {link}: no such anchor")
    assert not broken, "\n".join(broken)


def test_every_link_of_the_readme_leads_somewhere() -> None:
    markdown_it = pytest.importorskip("markdown_it")
    for page in ("README.md", "CONTRIBUTING.md"):
        for token in markdown_it.MarkdownIt("commonmark").parse((ROOT / page).read_text()):
            for child in token.children or ():
                link = urlsplit(str(child.attrs.get("href") or child.attrs.get("src") or ""))
                if not link.netloc:
                    assert (ROOT / link.path).exists(), f"{page}: {link.path}"


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    foreign = {link for page in pages.values() for link in page.loads if urlsplit(link).netloc}
    assert not foreign
    for sheet in site.rglob("*.css"):
        assert "url(http" not in sheet.read_text(), sheet
        assert "@import" not in sheet.read_text(), sheet


def test_every_page_of_docs_is_in_the_site(site: Path) -> None:
    for source in (*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")):
        assert (site / source.relative_to(ROOT).with_suffix(".html")).is_file(), source


def test_the_reference_holds_every_command_setting_and_name(site: Path) -> None:
    reference = site / "docs" / "reference"
    text = (reference / "cli.html").read_text()
    for command in cli.parser().leaves():
        assert f"{command.prog}<" in text
    settings = {name for recipe in RECIPES.values() for name in recipe.settings()}
    for name in ("save_dir", "check_every", "scheduler", "last", *settings):
        assert f"--{name.replace('_', '-')}" in text, name
    assert "with recipe and engine it determines every bit" in text
    text = (reference / "recipes.html").read_text()
    for name, recipe in RECIPES.items():
        assert name in text
        for setting in recipe.settings():
            assert f">{setting}<" in text, setting
    text = (reference / "api" / "index.html").read_text()
    for name in longlag.__all__:
        assert f">{name}<" in text, name
