"""Every command and every Python example in README and docs is run, page by page, in order.

A fenced block of a page is shell (`sh`, `bash`), a session (`console`, `pycon`: what follows a
command is what it must print), `python`, or no command at all. A command is run, what takes long
in its `--quick` form or with what `SMALLER` adds to it; or it stands in `NOT_RUN` with a reason and
with what is checked instead. A block or a command that is none of these fails its page: nothing
escapes.
"""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import longlag
from longlag import cli
from longlag.kernel import load_kernel

markdown_it = pytest.importorskip("markdown_it")

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
)
SCRIPTS = [path.name for path in ROOT.glob("*.py")]
NO_COMMANDS = {"text", "toml", "json", "csv", "bibtex"}
EXTRAS = {"torch", "jax", "onnx", "onnxruntime", "safetensors", "pandas"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

RUN = ("longlag", "python3", "for")  # a command that begins so is run

# Pages of studies, which take half a minute or more each even so: they are tried by make test-long.
TAKE_LONG = {
    "docs/howto/cells.md",
    "docs/howto/table8.md",
    "docs/howto/tuning.md",
    "docs/sweeps.md",
    "docs/tutorials/gates.md",
    "docs/tutorials/seeds.md",
}

# What is added to a command so that it is over in seconds, beside the --quick that every study
# gets; a flag given twice counts as given last. Written as in the page, without its --out.
FEW = "--trials 2 --max-sequences 3000"
SMALLER = {
    "longlag animate run": "--n-frames 3",
    "longlag animate docs/explorer/solved": "--n-frames 3",
    "longlag train --recipe paper --seed 3 --save-dir paper3": "--max-sequences 3000",
    "longlag study table8 --trials 10": FEW,
    "longlag study table8 --trials 32": FEW,
    "longlag study table8 --trials 32 --max-sequences 8000000": FEW,
    "longlag study table8 --reads current": FEW,
    "longlag study table8 --error halved": FEW,
    "longlag study table8 --output linear": FEW,
    "longlag study table8 --biases gates": FEW,
    "longlag study table8 --first-mark shown": FEW,
    "longlag study table8 --gradient full": FEW,
    "longlag study table8 --check-every 2000": FEW,
    "longlag study table7 --trials 30 --max-sequences 500000": FEW,
    "longlag study table7 --output linear --biases gates --reads current": FEW,
    "longlag study cells --cell lstm,gru,mine=own_cell:Leaky "
    "--task multiplication,copy,temporal-order --lengths 100,300 --trials 30": "--trials 1",
    "longlag study seeds --quick": FEW,
    "longlag study seeds": FEW,
    "longlag study seeds --trials 100": FEW,
    "longlag study lag --workers 1 --ledger lag.sqlite": "--trials 1",
    "python3 multiplication_problem.py --seed 0 --max-iters 6000": "--max-iters 40 --quiet",
    "python3 visualize_multiplication_problem.py --seed 0 --max-iters 6000": "--max-iters 40",
    "python3 make_multiplication_problem_gif.py --seed 0 --max-iters 4000 --n-frames 30": (
        "--max-iters 40 --n-frames 3"
    ),
}


# -- commands that are not run, and what is checked instead ---------------------------------------


def check_target(command: str) -> None:
    """`make`: the target exists, and so do the variables that are given."""
    text = (ROOT / "Makefile").read_text()
    for word in shlex.split(command)[1:]:
        name, is_variable, _ = word.partition("=")
        pattern = rf"^{name} \?=" if is_variable else rf"^{name}:"
        assert re.search(pattern, text, re.MULTILINE), f"the Makefile has no {name}"


def check_extras(command: str) -> None:
    """`pip install '.[a,b]'`: the extras exist."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"\.\[([\w,-]+)\]", command):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def check_parsed(command: str) -> None:
    """The command line's own parser takes it."""
    cli.parse(shlex.split(command, comments=True)[1:])


def check_dask(command: str) -> None:
    """The parser of dask's command takes it."""
    name, *words = shlex.split(command)[1:]
    module = importlib.import_module(f"distributed.cli.dask_{name}")
    module.main.make_context(f"dask {name}", words)


def check_script(text: str) -> None:
    """A whole script: bash can read it, and our parser takes the commands in it."""
    subprocess.run(["bash", "-n"], input=text, text=True, check=True, timeout=20)
    commands = re.findall(r"\blonglag .*", text)
    assert commands
    for command in commands:
        check_parsed(re.sub(r'"?\$\w+"?', "VALUE", command))


class NotRun(NamedTuple):
    pattern: str
    check: Callable[[str], None]
    reason: str


NOT_RUN = [
    NotRun(r"make [\w ./=,-]+", check_target, "installs, or runs these very tests"),
    NotRun(r"pip install .*", check_extras, "would change the environment of the tests"),
    NotRun(r"source \.venv/bin/activate", lambda command: None, "the tests have their own path"),
    NotRun(r"dask (scheduler|worker) .*", check_dask, "runs until killed; test_cluster.py has it"),
    NotRun(r"longlag study .*--scheduler .*", check_parsed, "needs a cluster; so has this"),
    NotRun(r"longlag bench.*", check_parsed, "half a minute; test_bench.py runs its quick form"),
    NotRun(r"longlag ledger export .*\.parquet.*", check_parsed, "needs pyarrow"),
    NotRun(r"#!/bin/bash\n#SBATCH(?s:.*)", check_script, "needs a SLURM cluster"),
]


# -- pages, blocks, commands ----------------------------------------------------------------------


class Block(NamedTuple):
    line: int
    language: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that are code."""
    text = (ROOT / page).read_text()
    for token in markdown_it.MarkdownIt("commonmark").parse(text):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "code_block":
            yield Block(line, "", token.content)
        elif token.type == "fence" and not token.info.startswith("{"):  # a directive of the site
            yield Block(line, token.info.strip(), token.content)


def commands(text: str) -> list[str]:
    """The commands of a shell block: one a line, or the block itself where it is a script."""
    if text.startswith("#!"):
        return [text]
    lines = (_without_comment(line) for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines())
    return [line.removeprefix(".venv/bin/") for line in lines if line]


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s+)#\s.*$", "", line).strip()


def session(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what is printed after it."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0], "a console block begins with `$ `"
    found = (part.partition("\n") for part in parts[1:])
    return [(commands(command)[0], printed) for command, _, printed in found]


def smaller(command: str) -> str:
    """The command as it is run.

    Raises:
        AssertionError: nothing says how.
    """
    assert command.startswith(RUN), f"`{command}` is neither run nor listed in NOT_RUN"
    quick = "--quick" if command.startswith("longlag study") and "--quick" not in command else ""
    return " ".join((command, quick, SMALLER.get(_without_out(command), ""))).strip()


def _without_out(command: str) -> str:
    return re.sub(r" --out \S+", "", command)


# -- running them ---------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a page is followed: the scripts and the runs are there, `longlag` is on the path."""
    for name in SCRIPTS:
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "docs" / "examples" / "own_cell.py", tmp_path)
    shutil.copytree(ROOT / "docs" / "explorer", tmp_path / "docs" / "explorer")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    monkeypatch.setenv("PATH", path)
    monkeypatch.syspath_prepend(tmp_path)  # where a script finds the modules beside it
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.long] if p in TAKE_LONG else []) for p in PAGES],
)
def test_a_page_does_what_it_says(page: str, directory: Path, capfd) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{page}:{block.line}"
        if block.language in ("sh", "bash"):
            for command in commands(block.text):
                follow(command, where, capfd)
        elif block.language == "console":
            for command, printed in session(block.text):
                follow(command, where, capfd, printed)
        elif block.language == "python":
            run_python(block, where, names)
        elif block.language == "pycon":
            run_examples(block, where, names)
        else:
            known = block.language in NO_COMMANDS
            assert known, f"{where}: name the language of the block; {block.language!r} is unknown"


def follow(command: str, where: str, capfd: Any, printed: str = "") -> None:
    """Runs a command, or checks what is checked instead."""
    for entry in NOT_RUN:
        if re.fullmatch(entry.pattern, command):
            entry.check(command)
            return
    asked = smaller(command)
    capfd.readouterr()
    status = run(asked)
    out, err = capfd.readouterr()
    if status == 2 and "not installed" in err:
        pytest.skip(f"{where}: {err}")
    assert status == 0, f"{where}: `{asked}` ended with status {status}: {err[-2000:]}"
    if printed and asked == command and load_kernel():
        same = doctest.OutputChecker().check_output(printed, out, FLAGS)
        assert same, f"{where}: `{command}` prints\n{out}\nand not\n{printed}"


def run(command: str) -> int:
    """The exit status; ours runs in this process, where warnings are errors."""
    if command.startswith("longlag ") and not set(command) & set("$><|&;"):
        return cli.main(shlex.split(command)[1:])
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], timeout=300, check=False)
    return done.returncode


def run_python(block: Block, where: str, names: dict[str, Any]) -> None:
    try:
        exec(compile(block.text, where, "exec"), names)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        pytest.skip(f"{where} needs {error.name}")


def run_examples(block: Block, where: str, names: dict[str, Any]) -> None:
    examples = doctest.DocTestParser().get_doctest(block.text, names, where, where, block.line)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report: list[str] = []
    runner.run(examples, out=report.append, clear_globs=False)
    names.update(examples.globs)
    assert not report, "".join(report)


# -- nothing escapes ------------------------------------------------------------------------------


def test_a_command_that_nothing_is_said_about_is_refused() -> None:
    for command in ("curl example.org", "rm -r run", "dask dashboard"):
        with pytest.raises(AssertionError, match=re.escape(command)):
            smaller(command)


def test_every_line_of_the_table_is_of_use() -> None:
    shell = [
        command
        for page in PAGES
        for block in blocks(page)
        if block.language in ("sh", "bash", "console")
        for command in (
            [c for c, _ in session(block.text)]
            if block.language == "console"
            else commands(block.text)
        )
    ]
    bare = {_without_out(command) for command in shell}
    assert not set(SMALLER) - bare, "no page has these commands any more"
    assert not TAKE_LONG - set(PAGES), "there are no such pages any more"


INLINE = r"(longlag|make|python3?|pip install) \S"


def inline(page: str) -> Iterator[str]:
    """What stands in a page's text as code and begins like a command."""
    for token in markdown_it.MarkdownIt("commonmark").parse((ROOT / page).read_text()):
        for child in token.children or ():
            if child.type == "code_inline" and re.match(INLINE, child.content):
                yield child.content


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_the_text_exist(page: str) -> None:
    for command in inline(page):
        words = shlex.split(re.sub(r" [\[…].*", "", command))
        if words[0] == "make":
            check_target(" ".join(words))
        elif words[0] == "pip":
            check_extras(command)
        elif (ours := our_words(words)) is not None:
            refused = refusal(ours)
            assert "is missing" in refused or not refused, f"{page}: `{command}`: {refused}"
        else:
            assert (ROOT / words[1]).is_file(), f"{page}: `{command}`: no such file"


def our_words(words: list[str]) -> list[str] | None:
    """What follows `longlag`, or `python -m longlag`; None for another program."""
    if words[:3] == ["python", "-m", "longlag"]:
        return words[3:]
    return words[1:] if words[0] == "longlag" else None


def refusal(words: list[str]) -> str:
    """What the command line's parser has against the words, such as a command that "is missing"."""
    try:
        cli.parse(words)
    except ValueError as error:
        return str(error)
    except SystemExit:  # --help
        return ""
    return ""


def test_examples_in_docstrings() -> None:
    tried = 0
    for module in pkgutil.walk_packages(longlag.__path__, "longlag."):
        if module.name.startswith(("longlag.benchmarks", "longlag._")):
            continue
        try:
            imported = importlib.import_module(module.name)
        except ImportError as error:  # an extra that is not installed
            if "pip install" not in str(error):
                raise
            continue
        result = doctest.testmod(imported, optionflags=FLAGS)
        assert result.failed == 0, module.name
        tried += result.attempted
    assert tried
