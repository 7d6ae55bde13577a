"""Directives for the parts of the reference that the package itself knows.

`{commands}`: what `longlag … --help` says of every command; `{settings}`: every setting of every
recipe; `{names}`: the public names of `longlag`; `{modules}`: what the docstrings of
modules say.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints
from unittest import mock

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import signature as signature_of
from sphinx.util.inspect import stringify_signature

import longlag
from longlag import cli
from longlag.learning.recipe import BATCH_RECIPES, ONLINE_RECIPES, Settings
from longlag.tasks.marked_pairs import SHORTEST, MarkedPairs

# -- the command line -----------------------------------------------------------------------------

Option = tuple[str, str]  # how it is written, and what it means


def command_sections() -> str:
    """A section a command, in Markdown."""
    return "\n".join(_section(words) for words in commands())


def commands(*parents: str) -> Iterator[tuple[str, ...]]:
    """The words of every command that does something, such as ("study", "lag")."""
    below = re.findall(r"^│ +• (\S+)", help_text(*parents), re.MULTILINE)
    if not below:
        yield parents
    for name in below:
        yield from commands(*parents, name)


def help_text(*words: str) -> str:
    """What `longlag WORDS --help` prints on a wide terminal."""
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8")  # tyro draws no boxes in less
    with (
        mock.patch.dict(os.environ, COLUMNS="1000"),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        cli.parse([*words, "--help"])
    printed.seek(0)
    return printed.read()


def options(text: str) -> list[Option]:
    """The arguments in the boxes of a help text, positional ones first."""
    found: list[Option] = []
    for line in text.splitlines():
        if not line.startswith("│ "):
            continue
        content = line[2:].rstrip(" │")
        if content.startswith(" "):  # goes on from the line before
            flag, meaning = found[-1]
            found[-1] = (flag, f"{meaning} {content.strip()}".strip())
        else:
            flag, _, meaning = content.partition("  ")
            found.append((flag, meaning.strip()))
    return [option for option in found if not option[0].startswith("-h,")]


def _section(words: tuple[str, ...]) -> str:
    rest = help_text(*words).partition("\n\n")[2]
    about = rest.partition("╭")[0].strip()
    found = options(rest)
    positional = " ".join(_plain(flag) for flag, _ in found if not flag.startswith("-"))
    rows, settings, recipes_own = [], [], [f.name for f in fields(cli.Settings)]
    for flag, meaning in found:
        parts = re.fullmatch(r"(.*?) ?(?:\((default: .*|by recipe: .*|required)\))?", meaning)
        assert parts is not None
        row = (_code(_plain(flag)), _sentence(parts[1]))
        if words == ("train",) and flag.split()[0][2:].replace("-", "_") in recipes_own:
            settings.append(row)
        else:
            rows.append((*row, _default(flag, parts[2] or "")))
    name = " ".join(("longlag", *words))
    synopsis = f"{name} {positional} [options]".replace("  ", " ")
    text = f"## {name}\n\n{about}\n\n```text\n{synopsis}\n```\n\n"
    text += table(("argument", "meaning", "default"), rows) + "\n"
    if settings:
        text += "Settings, each the [recipe's own](recipes.md) where it is not given:\n\n"
        text += table(("setting", "meaning"), settings) + "\n"
    return text


def _plain(flag: str) -> str:
    """A flag without the marks of tyro: {None}|PATH is PATH, [[PATH [PATH ...]]] is PATH …."""
    flag = re.sub(r"\[\[(\w+) .*\]\]", r"\1 …", flag)
    return flag.replace("{None}|", "")


def _default(flag: str, note: str) -> str:
    """What stands in the column of defaults: nothing where a flag is just off, or not given."""
    if note == "required":
        return "*required*"
    default = note.removeprefix("default: ")
    if default in ("", "''", "None") or (default == "False" and " " not in flag):
        return ""
    words = {"by-run": "the run's", "by-study": "the study's"}
    return words.get(default) or _code(default)


# -- the recipes ----------------------------------------------------------------------------------

OF_TASK = {
    "task": "what the answer is",
    "rules": "where the marks fall",
    "min_length": "T, steps of the shortest sequence; at least "
    + ", ".join(f"{steps} by the rules `{rules}`" for rules, steps in SHORTEST.items()),
    "max_length": "steps of the longest sequence",
    "first_mark": "whether a mark on the first pair, whose value is neutral, can be seen",
}


def settings_table(recipes: Mapping[str, Settings]) -> str:
    """A line a setting, a column a recipe."""
    kind = type(next(iter(recipes.values())))
    meta = {f.name: f.metadata for f in fields(kind)}
    hints = get_type_hints(kind) | get_type_hints(MarkedPairs)
    hints["task"] = hints["kind"]
    rows = []
    for name in next(iter(recipes.values())).settings():
        values = (_code(_value(r.settings()[name])) for r in recipes.values())
        text = OF_TASK.get(name) or meta[name]["help"]
        rows.append((_code(name), *values, _allowed(hints[name], meta.get(name, {})), text))
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
    if limits.get("low") is None:
        return "" if hint is not bool else f"{_code('True')}, {_code('False')}"
    return f"{_value(limits['low'])} … {_value(limits['high'])}"


# -- the public names -----------------------------------------------------------------------------


def names_table() -> str:
    """A line a name of `longlag.__all__`, linked to where it is described."""
    rows = []
    for name in longlag.__all__:
        value = getattr(longlag, name)
        if inspect.ismodule(value):
            role, target = "mod", value.__name__
        elif name == "RECIPES":
            rows.append(
                ("[RECIPES](/docs/reference/recipes.md)", "The registered recipes, by name.")
            )
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


def _sentence(text: str) -> str:
    text = re.sub(r"--[a-z-]+", lambda flag: _code(flag[0]), text.rstrip("."))
    return text[:1].upper() + text[1:] + "."


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
    required_arguments = 1  # `batch` or `online`

    def text(self) -> str:
        recipes: Mapping[str, Settings]
        recipes = BATCH_RECIPES if self.arguments[0] == "batch" else ONLINE_RECIPES
        return settings_table(recipes)


class Names(_Generated):
    def text(self) -> str:
        return names_table()


class Modules(_Generated):
    required_arguments = 1
    optional_arguments = 9

    def text(self) -> str:
        return "\n".join(map(module_section, modules(*self.arguments)))


# -- links ----------------------------------------------------------------------------------------


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
    return stringify_signature(own, show_return_annotation=False, short_literals=True), returns


def skip_fields(app: Sphinx, what: str, name: str, obj: Any, skip: bool, opts: Any) -> bool | None:
    """Fields of a NamedTuple, which say nothing but their number; their class describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("commands", Commands)
    app.add_directive("settings", RecipeSettings)
    app.add_directive("names", Names)
    app.add_directive("modules", Modules)
    app.connect("source-read", enter_directories)
    app.connect("autodoc-process-docstring", show_blocks, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", own_signature)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True}
