"""All commands with their flags, and for each the function that carries it out.

A command names its function as `module:function` of this package, and `longlag.cli.main` imports
that module alone: what draws or runs studies costs no other command its time to start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from longlag import interop
from longlag.cli.flags import Parser
from longlag.cli.settings import DEFAULT, settings
from longlag.learning import engine
from longlag.learning.recipe import RECIPES
from longlag.studies import STUDIES
from longlag.studies.declaration import LEDGER, SCHEDULER, WORKERS
from longlag.tasks.registry import TASKS
from longlag.version import __version__

FIRST_STEPS = (
    "longlag train                  # a network in some seconds, into ./run",
    "longlag figures run            # pictures of what it learned, in ./run",
    "longlag study table8 --quick   # a table of the paper, in a short form",
    "longlag train --help           # all options of a command",
)


def parser(words: Sequence[str] = ()) -> Parser:
    """The parser of `longlag`.

    words: which it is to read: `train` and `tasks` have flags for the settings of the parts that
        they name.

    Raises:
        ValueError: a part of the user's own that cannot be loaded.
    """
    root = Parser(
        "longlag",
        "Train networks on tasks that need a long memory, and measure how many seeds learn.",
        FIRST_STEPS,
        member="command",
    )
    root.version(f"longlag {__version__}")
    _train(root, words if "train" in words[:1] else ())
    _tasks(root, _named_task(words) if "tasks" in words[:1] else "")
    _judge(root)
    _draw(root)
    _studies(root)
    _sweep(root)
    _ledgers(root)
    _files(root)
    _machine(root)
    return root


def _named_task(words: Sequence[str]) -> str:
    """The task among the words of `tasks`, which is no flag and no flag's value; "" of none."""
    for before, word in pairwise(words):
        value = before.startswith("-") and "=" not in before and before != "--json"
        if not value and (word in TASKS or (":" in word and not word.startswith("-"))):
            return word
    return ""


def _command(
    group: Parser, name: str, function: str, about: str, examples: Sequence[str] = ()
) -> Parser:
    made = group.command(name, about, examples)
    made.set_defaults(function=function, name=name)
    return made


# -- what many commands have ----------------------------------------------------------------------


def _engine(command: Parser) -> None:
    command.value("--engine", engine.Choice, engine.CHOICE, "auto")
    command.value("--threads", int, "most threads that the native kernel may use", 1)


def _sequences(command: Parser) -> None:
    """What a run is judged on."""
    command.value("--n", int, "number of sequences", 2560)
    command.value("--seed", int, "seed of the sequences, which are the same for every run", 0)
    for one in settings()["task"]:
        if one.name in ("min_length", "max_length"):
            command.options([replace(one, otherwise="the run's", part="options")])


def _json(command: Parser) -> None:
    command.switch("--json", "print the result as one JSON object")


# -- runs -----------------------------------------------------------------------------------------


def _train(root: Parser, words: Sequence[str]) -> None:
    train = _command(
        root,
        "train",
        "run_commands:train",
        "Train a network by a recipe, and save it in a run directory.",
        (
            "longlag train --seed 1 --save-dir run1",
            "longlag train --recipe catalog --max-iterations 8000",
            "longlag train --min-length 300 --hidden 16 --overwrite",
        ),
    )
    train.value("--recipe", str, f"one of {', '.join(RECIPES)}", shown=DEFAULT)
    train.value(
        "--seed", int, "seed of all random numbers: initial weights, sequences, tests", shown="0"
    )
    train.value("--save-dir", Path, "run directory to write", Path("run"))
    _engine(train)
    train.switch("--resume", "continue the unfinished training in the directory")
    train.switch(
        "--overwrite",
        "replace what the directory holds: an unfinished training, or a finished run with "
        "other settings or another seed",
    )
    train.switch("--quiet", "show no progress")
    _json(train)
    options = [one for part in settings(words).values() for one in part]
    train.options(options)
    train.set_defaults(settings=[one.name for one in options])


def _tasks(root: Parser, named: str) -> None:
    tasks = _command(
        root,
        "tasks",
        "task_commands:tasks",
        "List the tasks, or show some sequences of one.",
        ("longlag tasks", "longlag tasks copy --lag 20", "longlag tasks reber --out reber.png"),
    )
    tasks.place("task", "one of those listed, or your own module:Class", str, optional=True)
    tasks.value("--n", int, "number of sequences, 1 to 20", otherwise="3")
    tasks.value("--seed", int, "seed of the sequences", otherwise="0")
    tasks.value("--out", Path, "a PNG file to draw them in", otherwise="the terminal")
    _json(tasks)
    _, *options = settings(("--task", named))["task"]  # the first chooses the task
    tasks.options(options)
    tasks.set_defaults(settings=[one.name for one in options])


def _judge(root: Parser) -> None:
    evaluate = _command(
        root,
        "evaluate",
        "run_commands:evaluate",
        "Score a run on fresh sequences.",
        ("longlag evaluate run --n 10000", "longlag evaluate run --min-length 1000"),
    )
    evaluate.place("run", "run directory")
    _sequences(evaluate)
    _engine(evaluate)
    _json(evaluate)
    compare = _command(
        root,
        "compare",
        "run_commands:compare",
        "Show in which settings runs differ, and their scores on the same sequences.",
        ("longlag compare run1 run2 run3",),
    )
    compare.place(
        "run",
        "two run directories or more; the sequences are of the first run's task",
        several=True,
    )
    _sequences(compare)
    _json(compare)


def _draw(root: Parser) -> None:
    figures = _command(
        root,
        "figures",
        "picture_commands:figures",
        "Draw the four figures of a run and write its curves as CSV.",
        ("longlag figures run --out pictures",),
    )
    figures.place("run", "run directory")
    figures.value("--out", Path, "directory for the pictures", otherwise="the run directory")
    animate = _command(
        root,
        "animate",
        "picture_commands:animate",
        "Animate a run's training as a GIF.",
        ("longlag animate run --n-frames 60 --fps 12",),
    )
    animate.place("run", "run directory")
    animate.value("--out", Path, "the GIF to write", otherwise="animation.gif in the run directory")
    animate.value("--n-frames", int, "number of frames, 2 to 500", 30)
    animate.value("--fps", int, "frames a second, 1 to 50", 8)
    animate.value(
        "--length", int, "steps of the sequence shown, at most 4 times the training's longest"
    )
    explore = _command(
        root,
        "explore",
        "picture_commands:explore",
        "Write an interactive page that shows how one or two networks work.",
        ("longlag explore run", "longlag explore run1 run2 --out both.html"),
    )
    explore.place(
        "run", "one or two run directories; the sequences are of the first run's task", several=True
    )
    explore.value(
        "--out", Path, "the page to write", otherwise="explorer.html in the first directory"
    )


def _files(root: Parser) -> None:
    export = _command(
        root,
        "export",
        "run_commands:export",
        "Write a run's weights and history as a file for other programs.",
        ("longlag export run --format onnx --out run.onnx",),
    )
    export.place("run", "run directory")
    export.value(
        "--format", interop.Format, "safetensors, torch (a state_dict) or onnx", required=True
    )
    export.value("--out", Path, "the file to write", required=True)
    _json(export)
    import_ = _command(
        root,
        "import",
        "run_commands:import_",
        "Make a run directory from a file that `longlag export` wrote, or from a plain LSTM.",
        (
            "longlag import run.onnx --out run2",
            "longlag import own.pt --as lstm --task adding --min-length 50 --out own",
        ),
    )
    import_.place(
        "file", "a safetensors, PyTorch, ONNX or Keras file; its content tells which it is"
    )
    import_.value(
        "--as",
        Literal["lstm"],
        "read a plain LSTM and its linear layer, written by any program",
        otherwise="the file is one of `longlag export`",
    )
    import_.value("--task", str, "the task of the plain LSTM", otherwise="that of robust")
    for one in settings()["task"]:
        if one.name in ("min_length", "max_length"):
            import_.options([replace(one, otherwise="the task's own", part="options")])
    import_.value("--out", Path, "run directory to write", required=True)
    import_.switch(
        "--overwrite",
        "replace what the directory holds: an unfinished training, or another finished run",
    )
    _json(import_)


# -- studies --------------------------------------------------------------------------------------


def _studies(root: Parser) -> None:
    root.command(
        "study",
        "Run a study: many trials, a table, a figure, and the data of all trials. A study of "
        "your own is given as module:STUDY.",
        ("longlag study seeds --quick", "longlag study table8 --trials 32"),
        member="study",
        members=STUDIES,
        make=_study,
    )


def _study(group: Parser, name: str) -> None:
    """The command of a study: what it declares, and --json."""
    study = STUDIES[name]
    options = {one.name for one in study.options}
    sentences = [f"{study.help}.", study.duration]
    if "ledger" in options:
        sentences.append("A study that was stopped continues when it is started again.")
    example = f"longlag study {name}"
    more = [f"{example} --trials 50 --workers 4"] if "trials" in options else []
    command = _command(
        group,
        name,
        "study_commands:study",
        " ".join(filter(None, sentences)),
        [f"{example} --quick" if "quick" in options else example, *more],
    )
    command.options(study.options)
    _json(command)


# -- ledgers --------------------------------------------------------------------------------------


def _sweep(root: Parser) -> None:
    sweep = _command(
        root,
        "sweep",
        "ledger_commands:sweep",
        "Train every combination of settings and seeds that a TOML file lists. A sweep that was "
        "stopped continues when it is started again.",
        ("longlag sweep rates.toml --workers 4",),
    )
    sweep.place(
        "file",
        "a TOML file: recipe, seeds, first_seed, engine, and the tables settings and grid",
    )
    sweep.options(
        [replace(LEDGER, otherwise="beside the file, with the ending .sqlite"), WORKERS, SCHEDULER]
    )
    _json(sweep)


def _ledgers(root: Parser) -> None:
    group = root.command(
        "ledger",
        "Show, count, plot or export the trials in a ledger.",
        ("longlag ledger show study/seeds", "longlag ledger rates study/seeds --by recipe"),
        member="ledger command",
    )
    show = _ledger(
        group,
        "show",
        "Show how many trials a ledger holds, and the latest of them.",
        ("longlag ledger show study/seeds --last 50",),
    )
    show.value("--last", int, "trials to list, the newest first", 20)
    _json(show)
    rates = _ledger(
        group,
        "rates",
        "Show how many trials of each kind were solved, with exact 95 % intervals of the rates. "
        "Two kinds are also compared seed by seed.",
        ("longlag ledger rates study/lag --by recipe,min_length",),
    )
    rates.value(
        "--by",
        list[str],
        "what distinguishes the kinds: settings, recipe, engine or version",
        otherwise="the settings that differ",
    )
    _json(rates)
    plot = _ledger(
        group,
        "plot",
        "Draw how many trials of each kind were solved, or after how many sequences, against a "
        "setting.",
        ("longlag ledger plot study/lag --x min_length --out lag.png",),
    )
    plot.value("--x", str, "setting on the horizontal axis", required=True)
    plot.value(
        "--y", Literal["solved", "sequences"], "vertical axis: share solved, or sequences", "solved"
    )
    plot.value(
        "--by",
        list[str],
        "a line for each combination of these settings",
        otherwise="the settings that differ",
    )
    plot.value("--out", Path, "the file to write: .png, .pdf or .svg", Path("ledger.png"))
    export = _ledger(
        group,
        "export",
        "Write all trials of a ledger as csv, markdown, or parquet where pyarrow is installed.",
        ("longlag ledger export study/seeds --out trials.parquet",),
    )
    export.value(
        "--format",
        Literal["csv", "markdown", "parquet"],
        "format of the file",
        otherwise="by the ending of --out: .csv, .md or .parquet",
    )
    export.value("--out", Path, "the file to write; parquet needs one", otherwise="the screen")


def _ledger(group: Parser, name: str, about: str, examples: Sequence[str]) -> Parser:
    made = _command(group, name, f"ledger_commands:{name}", about, examples)
    made.place("file", "a ledger, or the directory of a study that holds its ledger.sqlite")
    return made


# -- the machine ----------------------------------------------------------------------------------


def _machine(root: Parser) -> None:
    bench = _command(
        root,
        "bench",
        "machine_commands:bench",
        "Measure the speed of longlag beside other libraries; takes some minutes.",
        ("longlag bench --quick --against numpy,torch",),
    )
    bench.value(
        "--against",
        str,
        "libraries to compare with; one that is not installed is skipped",
        "numpy,torch,jax,numba",
        metavar="NAME,NAME,...",
    )
    bench.switch("--quick", "only the smallest case, in half a minute")
    _json(bench)
    doctor = _command(
        root,
        "doctor",
        "machine_commands:doctor",
        "Show the version, the engine in use, and which extras are found.",
        ("longlag doctor --json",),
    )
    _json(doctor)
    completion = _command(
        root,
        "completion",
        "machine_commands:completion",
        "Print a script that completes commands and flags in a shell.",
        (
            'eval "$(longlag completion bash)"   # in ~/.bashrc',
            'eval "$(longlag completion zsh)"    # in ~/.zshrc, after compinit',
            "longlag completion fish | source    # in ~/.config/fish/config.fish",
        ),
    )
    completion.place("shell", "bash, zsh or fish", Literal["bash", "zsh", "fish"])
