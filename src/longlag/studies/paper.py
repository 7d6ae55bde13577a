"""All tables of the paper's experiments: each as its own study, and one page at the end.

Each table has a directory of its own in the output directory, with the files of its study, and all
of them one ledger, from which an interrupted study is continued. README.md has every row beside the
paper's mean: green where that lies among 95 % of the means of as many trials as the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from longlag import files
from longlag.runs import directory as runs
from longlag.studies import STUDIES, page
from longlag.studies.cases import Row
from longlag.studies.declaration import BUDGET, COMMON, SEED, TRIALS, Request, Study, run
from longlag.studies.result import Result
from longlag.studies.stops import N_TRIALS, in_words, point
from longlag.sweeps.sweep import Observer
from longlag.words import seconds

TABLES = tuple(f"table{k}" for k in range(1, 10))
GREEN, OTHER, OPEN = "🟢 inside", "outside", "not known: the budget"
HEAD = (
    "table",
    "row",
    "solved",
    "sequences: mean",
    "95 % of means",
    "paper",
    "the paper's is",
)

# What may explain rows outside, as docs/paper.md has it with its trials.
EXPLAINED = {
    "table1": "not known. No reading that was tried comes near the paper's rates with its network; "
    "6 blocks of 2 solve most trials.",
    "table2": "the single cell's state only grows, and one update at the paper's rate then "
    "saturates the outputs. In 2b, a network that meets the criterion has a larger error than one "
    "whose outputs of the two classes stay near 0.",
    "table3": "with `--recurrent False`, hidden units that do not receive each other's outputs, "
    "all trials with q = p are solved, in about the paper's number of sequences.",
    "table4": "the size of the steps: with `--error halved`, the error of eq. 19, nearly all "
    "trials with N = 3 are solved, in about the paper's number of sequences. With N = 1 they are "
    "solved earlier than the paper's; why is not known.",
    "table5": "at T = 100 a part may be the tests: a trial stops at the first one that meets the "
    "rule, one is made every 100 sequences, and the paper does not say how often it tests "
    "(`--test-every`). At T = 1000 it is not known.",
    "table6": "a part may be the tests, as in table 5.",
    "table7": "the logistic output has to saturate for sums near 0 and 1. With `--output linear "
    "--biases gates --reads current`, without a bias of the output, trials stop about as early as "
    "the paper's at T = 100, and earlier at 500 and 1000.",
    "table8": "not known. Most readings of the paper's details reach the first stop later than the "
    "paper (docs/table8.md).",
    "table9": "a mean of few trials depends on how many slow ones are among them.",
}


def carry_out(request: Request, observe: Observer) -> Result:
    """Runs one table after another and writes the page; raises as `declaration.run`."""
    out = runs.writable(request.directory)
    results = {name: run(_part(request, name, out), observe) for name in TABLES}
    rows = [{"table": name, **row} for name, found in results.items() for row in found.rows]
    table = [HEAD, *map(_line, rows)]
    first = results[TABLES[0]].content
    content = {
        **{"study": request.study.name, "trials": sum(r["all_trials"] for r in results.values())},
        **{"seed": request.seed, "quick": request.quick, "full": request.full},
        **{"engine": first["engine"], "isa": first["isa"], "code": first["code"]},
        **{"elapsed_sec": sum(r["elapsed_sec"] for r in results.values())},
        **{"rows": rows, "out": str(out)},
    }
    files.write_bytes(out / "README.md", _page(request, results, table, content).encode())
    return Result(request.study.title, content, table, _remarks(rows, request.quick))


def _part(request: Request, name: str, out: Path) -> Request:
    """The request to one table's study."""
    study = STUDIES[name]
    given = {one.name: request.options[one.name] for one in study.options if one.name in OWN}
    given |= {"out": out / name, "ledger": request.ledger or out / "ledger.sqlite"}
    return study.request(given, request.command)


def _line(row: Row) -> tuple[str, ...]:
    seen = row["sequences"]
    low, high = seen["means"]
    return (
        row["table"].removeprefix("table"),
        point(row),
        f"{row['solved']} of {row['solved'] + row['unsolved']}",
        f"{'≥ ' if seen['restricted'] else ''}{seen['mean']:,.0f}",
        f"{low:,.0f} to {high:,.0f}",
        f"{row['paper']['sequences']:,}",
        _verdict(row["paper"]["sequences"], low, high, seen["restricted"]),
    )


def _verdict(paper: float, low: float, high: float, restricted: bool) -> str:
    """Where the paper's mean lies; above a restricted mean that is not known."""
    if low <= paper <= high:
        return GREEN
    return OPEN if restricted and paper > high else OTHER


def _remarks(rows: Sequence[Row], quick: bool) -> list[str]:
    """How many rows are green, and what may explain those outside, a table each."""
    if quick:
        return [page.QUICK_FORM]
    verdicts = [_line(row)[-1] for row in rows]
    outside = {row["table"] for row, said in zip(rows, verdicts, strict=True) if said == OTHER}
    explained = [f"{name[-1]}: {EXPLAINED[name]}" for name in TABLES if name in outside]
    return [
        f"The paper's mean lies among 95 % of the means of as many trials in "
        f"{verdicts.count(GREEN)} of {len(rows)} rows; ≥: the budget ended trials, and means and "
        "their interval are restricted to it. docs/paper.md has the trials behind what follows.",
        *(f"Outside, table {line}" for line in explained),
    ]


def _page(
    request: Request, results: Mapping[str, Result], table: Sequence[tuple[str, ...]], content: Row
) -> str:
    remarks = page.bullets(_remarks(content["rows"], request.quick))
    parts = [f"# {request.study.title}", page.markdown(table), remarks]
    for name, found in results.items():
        took = seconds(N_TRIALS * found.content["trial_sec"])
        parts += [
            f"## [{found.title}]({name}/table.md)",
            f"{in_words(found.content['reading']).capitalize()}. {N_TRIALS} trials of each row "
            f"learn for {took} on one core.",
            page.markdown(found.table),
        ]
    parts.append(
        f"Command: `{request.command}` (seeds from {request.seed})  \n"
        f"longlag {content['code']}, {page.engine(content)}, {page.setting()}; learning took "
        f"{seconds(content['elapsed_sec'])} of the workers' time."
    )
    return "\n\n".join(parts) + "\n"


OWN = tuple(one.name for one in COMMON)
STUDY = Study(
    name="paper",
    title="The paper's tables 1 to 9, run again",
    help="All tables of the paper's experiments, 1 to 9, one after another, and one page",
    takes="an hour",
    options=(
        replace(
            TRIALS, text="trials of every row, a seed each", otherwise="as many as the paper's"
        ),
        replace(BUDGET, otherwise="10 times the paper's mean; 3000000 in tables 7 and 8"),
        replace(SEED, default=0),
        *(one for one in COMMON if one not in (TRIALS, BUDGET, SEED)),
    ),
    function="longlag.studies.paper:carry_out",
)
