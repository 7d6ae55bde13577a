"""Studies, a module each: a question, its cases, its table beside the paper's, its figure.

`study(name)` answers one from Python, as `longlag study NAME` does from the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longlag import checks
from longlag.progress import heard, ignore, of_sweep
from longlag.settings import Registry, imported
from longlag.studies.declaration import Study, run
from longlag.studies.result import Result

if TYPE_CHECKING:
    from longlag.sweeps.sweep import Progress

STUDIES: Registry[Study] = Registry("study", Study)
for _number in range(1, 10):
    _where = f"table{_number}:STUDY" if _number in (7, 8) else f"experiments:TABLE{_number}"
    STUDIES.later(f"table{_number}", f"longlag.studies.{_where}")
for _name in (
    "seeds",
    "forget-gate",
    "lag",
    "tasks",
    "cells",
    "register",
    "movement",
    "paper",
):
    STUDIES.later(_name, f"longlag.studies.{_name.replace('-', '_')}:STUDY")


def study(
    name: str | Study,
    *,
    progress: bool = False,
    callback: Callable[[Progress], None] = ignore,
    **options: Any,
) -> Result:
    """Answers a question with many trials, and writes its table, figure and data.

    >>> longlag.study("seeds", trials=2, quick=True, out="seeds")  # doctest: +SKIP

    Args:
        name: `table1` to `table9`, `paper`, `seeds`, `forget-gate`, `lag`, `tasks`,
            `cells`, `register` or `movement`; a study of your own, or its `module:STUDY`.
        progress: show it on standard error, as the command does: on a terminal or in a notebook a
            bar of the trials with the time left, elsewhere a line now and then.
        callback: called several times a second with the `longlag.sweeps.sweep.Progress`: `total`,
            `skipped`, `done` and `failed` trials, and `left`, the seconds that are left. It must
            not change it. What it raises ends the study, and what is finished is kept.
        options: the command's flags, with underscores: trials, seed, out, quick, full, ...; the
            files go under study/ where `out` is not given. Stopped by Ctrl-C and called again, it
            goes on (all but `movement`, which takes a minute).

    Raises:
        ValueError: an unknown study or option (the nearest is suggested), a value that is not
            allowed, a directory that cannot be written to, a `progress` that is no bool, a
            `callback` that cannot be called.
    """
    found = name if isinstance(name, Study) else STUDIES[name]
    plain = {key: str(v) if isinstance(v, Path) else v for key, v in options.items()}
    words = [
        repr(found.name if found is name else name),
        *(f"{key}={value!r}" for key, value in plain.items()),
    ]
    request = found.request(options, f"longlag.study({', '.join(words)})")
    with heard(progress, of_sweep, callback) as observe:
        return run(request, observe)


def compare(
    cells: Mapping[str, Any] | Sequence[str],
    tasks: Sequence[str] | None = None,
    lengths: Sequence[int] = (100,),
    trials: int = 10,
    **options: Any,
) -> Result:
    """Trains cells on tasks and lags by one protocol, as `longlag study cells` does.

    >>> longlag.compare({"gru": "gru", "mine": MyCell}, lengths=[100, 300])  # doctest: +SKIP

    Args:
        cells: names of cells of longlag, or by name: such a name, a PyTorch module class, a
            function that makes a module, `module:name`, each made by (D, K, size); or a pair of
            JAX functions that stands in the module of both, or its `module:NAME`. See
            `longlag.networks.cells.own` and `longlag.networks.jax_cell`.
        tasks: names of registered tasks; the first of them where not given.
        lengths: values of T.
        trials: seeds of every cell, task and T.
        options: `progress` and `callback`, as in `longlag.study`, and what
            `longlag.study("cells")` has besides: max_sequences, hidden, out, workers, ...

    Raises:
        ValueError: a cell, task or option that is not allowed, or a class or pair that workers
            cannot import.
    """
    if isinstance(cells, str) or not isinstance(cells, (Mapping, Sequence)) or not cells:
        raise ValueError(
            f"cells must be names of cells, or cells by name, not {checks.shown(cells)}"
        )
    if isinstance(cells, Mapping):
        names = [checks.label("the name of a cell", name) for name in cells]
        words = [f"{name}={_place(name, cells[name])}" for name in names]
    elif others := [cell for cell in cells if not isinstance(cell, str)]:
        raise ValueError(
            "cells in a list must be names of cells; give others as a dict by name, "
            f'{{"mine": Mine}}, not {checks.shown(others[0])} in a list'
        )
    else:
        words = list(cells)
    for option, meant in (("cell", "cells"), ("task", "tasks")):
        if option in options:
            raise ValueError(f"compare has no option {option!r}; did you mean {meant!r}?")
    return study("cells", cell=words, task=tasks, lengths=lengths, trials=trials, **options)


def _place(name: str, cell: Any) -> str:
    """The name by which workers import a cell: its own, or `module:name`.

    Raises:
        ValueError: they cannot.
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, tuple):
        return _place_of_pair(name, cell)
    inside = getattr(cell, "__qualname__", "")
    if not inside:
        raise ValueError(
            f"cell {name} must be a class, a function that makes a module, a pair of JAX functions "
            f"or a name, not {checks.shown(cell)}"
        )
    where = f"{getattr(cell, '__module__', '')}:{inside}"
    try:
        found = None if where.startswith("__main__") else imported(where)
    except (ImportError, AttributeError, ValueError):
        found = None
    if found is cell:
        return where
    why = "it is no class or function that a module holds"
    if "." in inside:
        why = "it is defined inside a function or a class"
    elif where.startswith("__main__"):
        why = "it is defined in the script that is run"
    raise ValueError(
        f"cell {name} ({inside}) cannot be imported by workers, since {why}: "
        "put it into a file of its own, such as mycell.py, and import it from there"
    )


def _place_of_pair(name: str, pair: tuple[Any, ...]) -> str:
    """The `module:NAME` of a pair of JAX functions: a tuple does not know its module, they do.

    Raises:
        ValueError: it is not in their module.
    """
    modules = {getattr(function, "__module__", None) for function in pair}
    where = modules.pop() if len(modules) == 1 else None
    if where != "__main__" and where in sys.modules:
        for own, held in vars(sys.modules[where]).items():
            if held is pair:
                return f"{where}:{own}"
    why = "is not held by the module of both functions"
    if where == "__main__":
        why = "is defined in the script that is run"
    raise ValueError(
        f"cell {name} ({checks.shown(pair)}) cannot be imported by workers, since it {why}: give "
        'it as "module:NAME", such as "mycell:CELL" for CELL = (init, apply) in mycell.py'
    )
