"""Studies: a question a module, its cases, its table beside the paper's, its figure.

`study(name)` answers one from Python, as `longlag study NAME` does from the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longlag.settings import Registry
from longlag.studies.declaration import Study, run
from longlag.studies.result import Result

STUDIES: Registry[Study] = Registry("study", Study)
for _number in (1, 2, 3, 4, 5, 6, 9):
    STUDIES.later(f"table{_number}", f"longlag.studies.experiments:TABLE{_number}")
for _name in (
    "table7",
    "table8",
    "seeds",
    "forget-gate",
    "lag",
    "tasks",
    "register",
    "movement",
    "paper",
):
    STUDIES.later(_name, f"longlag.studies.{_name.replace('-', '_')}:STUDY")


def study(name: str | Study, **options: Any) -> Result:
    """Answers a question with many trials, and writes its table, figure and data.

    >>> longlag.study("seeds", trials=2, quick=True, out="seeds")  # doctest: +SKIP

    Args:
        name: `table1` to `table9`, `paper`, `seeds`, `forget-gate`, `lag`, `tasks`,
            `register` or `movement`; a study of your own, or its `module:STUDY`.
        options: the command's flags, with underscores: trials, seed, out, quick, full, ...; the
            files go under study/ where `out` is not given. Stopped by Ctrl-C and called again, it
            goes on (all but `movement`, which takes a minute).

    Raises:
        ValueError: an unknown study or option (the nearest is suggested), a value that is not
            allowed, a directory that cannot be written to.
    """
    found = name if isinstance(name, Study) else STUDIES[name]
    plain = {key: str(v) if isinstance(v, Path) else v for key, v in options.items()}
    words = [
        repr(found.name if found is name else name),
        *(f"{key}={value!r}" for key, value in plain.items()),
    ]
    return run(found.request(options, f"longlag.study({', '.join(words)})"))
