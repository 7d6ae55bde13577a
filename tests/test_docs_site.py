"""The documentation site: it builds without a warning, is complete, and leads nowhere in vain."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import longlag
from browser import chromium, opened
from longlag import cli
from longlag.learning.recipe import RECIPES
from longlag.runs import directory

pytest.importorskip("sphinx")
pytest.importorskip("myst_nb")

ROOT = Path(__file__).parent.parent
LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


def build(out: Path, *more: str, path: Path | None = None) -> Path:
    """The site as `make docs` builds it, in a subprocess; `path` comes first on its PYTHONPATH."""
    words = ("-c", "docs", "-W", "--keep-going", "-n", "-q", "-d", f"{out}/trees", *more)
    paths = [str(path)] if path else []
    paths += [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, ".", f"{out}/site"],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default", "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-4000:]
    return out / "site"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site with all that is installed here."""
    return build(tmp_path_factory.mktemp("site"))


# -- where the docs extra alone is installed ------------------------------------------------------

HIDE = """
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec


def find_no_extra(name, path=None, target=None):
    return None if name.partition(".")[0] in {hidden} else find_spec(name, path, target)


PathFinder.find_spec = find_no_extra
"""


def extras() -> set[str]:
    """The packages of the extras for users, none of which building the site may need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = set(project["optional-dependencies"]) - {"docs", "test"}
    needs = (need for extra in own for need in project["optional-dependencies"][extra])
    return {re.split(r"[^\w-]", need)[0] for need in needs}


@pytest.mark.long
def test_it_builds_where_no_extra_is_installed(tmp_path: Path) -> None:
    assert {"torch", "safetensors", "onnx"} <= extras()
    hide = tmp_path / "path"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(HIDE.format(hidden=extras()))
    site = build(tmp_path, path=hide)
    text = (site / "docs" / "reference" / "api" / "torch.html").read_text()
    assert "train_torch" in text
    assert "*args" not in re.sub(r"<[^>]*>", "", text)  # the signature of a base that is not there


@pytest.mark.long
def test_make_docs_in_a_fresh_clone(tmp_path: Path) -> None:
    """Installs the docs extra alone, with a new build of the package: some two minutes."""
    kept = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in kept.stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    made = subprocess.run(
        ["make", "docs", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-4000:]
    assert (tmp_path / "build" / "docs" / "index.html").is_file()
    python = tmp_path / ".venv" / "bin" / "python"
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 1


# -- what is in it --------------------------------------------------------------------------------


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


def test_pages_that_the_front_links_to_have_no_markup_that_only_the_site_understands() -> None:
    for front in ("README.md", "CONTRIBUTING.md"):
        linked = re.findall(r"\]\(([^)#:]+\.md)", (ROOT / front).read_text())
        assert len(linked) > 2
        for page in linked:
            assert not re.search(r"^(```+|:::+)\{|^:::", (ROOT / page).read_text(), re.M), page


def test_the_pictures_at_the_front_are_of_the_run_that_solved_it() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", (ROOT / "README.md").read_text())
    assert pictures[0] == "viz/solved.gif"
    assert "](../viz/solved_cell_state.png)" in (ROOT / "docs" / "gallery.md").read_text()
    run = directory.load(ROOT / "docs" / "explorer" / "solved")
    assert run.recipe.task.min_length == 100
    assert run.score.wrong <= 16  # of 2560


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    foreign = {link for page in pages.values() for link in page.loads if urlsplit(link).netloc}
    assert not foreign
    for sheet in site.rglob("*.css"):
        assert "url(http" not in sheet.read_text(), sheet
        assert "@import" not in sheet.read_text(), sheet


def test_the_site_holds_the_explorer_with_three_runs(site: Path, pages: dict[Path, Page]) -> None:
    here = site / "docs" / "explorer"
    names = ("solved", "stuck", "1997")
    assert all(f"{name}.html" in pages[here / "index.html"].links for name in names)
    assert "explorer/index.html" in pages[site / "docs" / "index.html"].links
    assert "explorer/solved.html" in pages[site / "docs" / "index.html"].loads
    assert "](docs/explorer/index.md)" in "\n".join(
        (ROOT / "README.md").read_text().splitlines()[:25]
    )
    with chromium() as browser:
        for name, least, most in zip(names, (500, 0, 480), (512, 128, 512), strict=True):
            page = here / f"{name}.html"
            assert page.stat().st_size < 1_500_000
            with opened(browser, page) as shown:
                told = shown.locator(".scatter-text").inner_text()
                assert least <= int(told.split()[0]) <= most, told
                blocks = shown.evaluate("app.runs[0].about.blocks ?? 0")
                assert blocks == (2 if name == "1997" else 0)


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
    assert "seed of all random numbers: initial weights, sequences, tests" in text
    text = (reference / "recipes.html").read_text()
    for name, recipe in RECIPES.items():
        assert name in text
        for setting in recipe.settings():
            assert f">{setting}<" in text, setting
    text = (reference / "api" / "index.html").read_text()
    for name in longlag.__all__:
        assert f">{name}<" in text, name


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
