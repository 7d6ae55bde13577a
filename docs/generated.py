"""Directives for the parts of the reference that the package itself knows.

`{commands}`: what `longlag … --help` says of every command; `{settings}`: every setting of every
recipe; `{names}`: the public names of `longlag`; `{modules}`: what the docstrings of
modules say. Beside them the explorer's page of every run in docs/explorer is written.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import signature as signature_of
from sphinx.util.inspect import stringify_signature

import longlag
from longlag import checks, cli, explorer
from longlag.cli.flags import HELP, REQUIRED, Argument, Parser
from longlag.cli.settings import ABOUT, settings
from longlag.learning.recipe import PARTS, RECIPES, Recipe
from longlag.runs import directory
from longlag.settings import setting_fields

# -- the command line -----------------------------------------------------------------------------


def command_sections() -> str:
    """A section a command, in Markdown."""
    return "\n".join(_section(command) for command in cli.parser().leaves())


def _section(command: Parser) -> str:
    """What a command does, how it is written, and a table for each part of its help."""
    examples = "\n".join(command.examples)
    text = (
        f"## {command.prog}\n\n{command.about}\n\n```text\n{command.synopsis()}\n```\n\n"
        f"```sh\n{examples}\n```\n\n"
    )
    parts: dict[str, list[tuple[str, ...]]] = {}
    for argument in command.arguments:
        if argument.written != ", ".join(HELP):
            title = argument.part if argument.part in settings() else "argument"
            parts.setdefault(title, []).append(_row(argument))
    return text + "\n".join(
        table((title, "meaning", "default"), rows) for title, rows in parts.items()
    )


def _row(argument: Argument) -> tuple[str, str, str]:
    otherwise = argument.otherwise
    default = f"*{argument.default}*" if argument.default == REQUIRED else argument.default
    return _code(argument.written), _with_flags(argument.text), _with_flags(otherwise or default)


# -- the recipes ----------------------------------------------------------------------------------


def settings_table(recipes: Mapping[str, Recipe]) -> str:
    """A line a setting, a column a recipe."""
    allowed: dict[str, str] = {}
    texts: dict[str, str] = {}
    for sort, part in (item for recipe in recipes.values() for item in recipe.parts.items()):
        allowed[sort], texts[sort] = ", ".join(map(_code, PARTS[sort])), ABOUT[sort]
        hints = get_type_hints(type(part))
        for field in setting_fields(type(part)):
            allowed[field.name] = _allowed(hints[field.name], field.metadata)
            texts[field.name] = field.metadata["help"]
    having = {name: recipe.settings() for name, recipe in recipes.items()}
    rows = []
    for name, text in texts.items():
        values = (_code(_value(own[name])) if name in own else "–" for own in having.values())
        rows.append((_code(name), *values, allowed[name], _with_flags(text)))
    return table(("setting", *map(_code, recipes), "allowed", "meaning"), rows)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _allowed(hint: Any, limits: Mapping[str, Any]) -> str:
    if words := get_args(hint):
        return ", ".join(map(_code, words))
    if limits.get("low") in (None, -checks.LARGEST):  # where the task says itself what it takes
        return "" if hint is not bool else f"{_code('True')}, {_code('False')}"
    return f"{_value(limits['low'])} … {_value(limits['high'])}"


# -- the public names -----------------------------------------------------------------------------


REGISTRIES = {
    "RECIPES": ("recipes.md", "The registered recipes, by name."),
    "TASKS": ("api/tasks.md", "The registered tasks, by name."),
}


def names_table() -> str:
    """A line a name of `longlag.__all__`, linked to where it is described."""
    rows = []
    for name in longlag.__all__:
        value = getattr(longlag, name)
        if inspect.ismodule(value):
            role, target = "mod", value.__name__
        elif name in REGISTRIES:
            page, text = REGISTRIES[name]
            rows.append((f"[{name}](/docs/reference/{page})", text))
            continue
        else:
            role = "class" if inspect.isclass(value) else "func"
            target = f"{value.__module__}.{value.__qualname__}"
        rows.append((f"{{py:{role}}}`{name} <{target}>`", _first_sentence(value)))
    return table(("name", "what it is"), rows)


def _first_sentence(value: Any) -> str:
    first = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=\.)\s|:$", first)[0]


# -- the modules ----------------------------------------------------------------------------------


def modules(*patterns: str) -> Iterator[str]:
    """The modules of these names; `package.*` is the package and what is in it, so that a module
    that is new there, or has moved there, is not forgotten.
    """
    for pattern in patterns:
        package = pattern.removesuffix(".*")
        yield package
        if pattern != package:
            path = importlib.import_module(package).__path__
            yield from (f"{package}.{module.name}" for module in pkgutil.iter_modules(path))


def module_section(name: str) -> str:
    """A section a module, in Markdown."""
    return f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n"


# -- Markdown, and Sphinx -------------------------------------------------------------------------


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _code(text: str) -> str:
    return f"`{text}`"


def _with_flags(text: str) -> str:
    """A text whose flags are code."""
    return re.sub(r"--[a-z-]+", lambda flag: _code(flag[0]), text)


class _Generated(SphinxDirective):
    """Markdown that a function of this module returns, in place of the directive."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(__file__)
        return self.parse_text_to_nodes(self.text(), allow_section_headings=True)

    def text(self) -> str:
        raise NotImplementedError


class Commands(_Generated):
    def text(self) -> str:
        return command_sections()


class RecipeSettings(_Generated):
    required_arguments = 1  # the recipes' learning rule

    def text(self) -> str:
        rule = self.arguments[0]
        return settings_table({k: r for k, r in RECIPES.items() if r.rule.name == rule})


class Names(_Generated):
    def text(self) -> str:
        return names_table()


class Modules(_Generated):
    required_arguments = 1
    optional_arguments = 9

    def text(self) -> str:
        return "\n".join(map(module_section, modules(*self.arguments)))


# -- links ----------------------------------------------------------------------------------------


SECTIONS = ("tutorials", "howto", "reference", "explanation")


def list_section(app: Sphinx, name: str, source: list[str]) -> None:
    """The pages that the front page of a section links to are the section's, in that order."""
    if name in [f"docs/{section}/index" for section in SECTIONS]:
        pages = re.findall(r"\]\(([^)#]+)\.(?:md|ipynb)\)", source[0])
        source[0] += "\n".join(("\n```{toctree}", ":hidden:", "", *pages, "```\n"))


def show_examples(app: Sphinx, name: str, source: list[str]) -> None:
    """A line that is a link to an example shows the file."""
    example = r"^\[\w+\.py\]\((\S+/examples/\w+\.py)\)$"
    source[0] = re.sub(example, r"```{literalinclude} \1\n```", source[0], flags=re.M)


def enter_directories(app: Sphinx, name: str, source: list[str]) -> None:
    """A link to a directory, which a forge lists, leads to the page that speaks for it."""
    here = Path(app.srcdir, name).parent

    def page(link: re.Match[str]) -> str:
        names = (n for n in ("README.md", "table.md") if (here / link[1] / n).is_file())
        return f"]({link[1]}{next(names, '')})"

    source[0] = re.sub(r"\]\((\.[^)\s]*/)\)", page, source[0])


# -- docstrings -----------------------------------------------------------------------------------


def show_blocks(app: Sphinx, what: str, name: str, obj: Any, opts: Any, lines: list[str]) -> None:
    """What stands indented after a blank line is shown as it stands: formulas, code, tables."""
    # An empty comment: napoleon would take what a property says before a colon for its type.
    shown = ["..", ""] if what in ("property", "attribute") else []
    for k, line in enumerate(lines):
        opens = line.startswith("    ") and k > 1 and not lines[k - 1].strip()
        before = next((other for other in reversed(shown) if other.strip()), "")
        if opens and not before.startswith("    ") and not before.rstrip().endswith("::"):
            shown += ["::", ""]
        shown.append(line)
    lines[:] = shown


def own_signature(
    app: Sphinx, what: str, name: str, obj: Any, opts: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """A class's signature is its own `__init__`'s, also where its base is of a package that is not
    installed.
    """
    if what != "class" or signature != "(*args: Any, **kwargs: Any)":
        return None
    own = signature_of(obj.__init__, bound_method=True)
    return stringify_signature(own, show_return_annotation=False), returns


def skip_fields(app: Sphinx, what: str, name: str, obj: Any, skip: bool, opts: Any) -> bool | None:
    """Fields of a NamedTuple, which say nothing but their number; their class describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


# -- the explorer ---------------------------------------------------------------------------------


def write_explorers(app: Sphinx, failed: Exception | None) -> None:
    """The explorer's page of every run in docs/explorer, beside what is said of them."""
    if failed or app.builder.format != "html":
        return
    for run in sorted(Path(app.srcdir, "docs", "explorer").glob("*/history.json")):
        name = run.parent.name
        page = Path(app.outdir, "docs", "explorer", f"{name}.html")
        explorer.write_page({name: directory.load(run.parent)}, page)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("commands", Commands)
    app.add_directive("settings", RecipeSettings)
    app.add_directive("names", Names)
    app.add_directive("modules", Modules)
    app.connect("source-read", list_section)
    app.connect("source-read", show_examples)
    app.connect("source-read", enter_directories)
    app.connect("autodoc-process-docstring", show_blocks, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", own_signature)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("build-finished", write_explorers)
    return {"parallel_read_safe": True}
