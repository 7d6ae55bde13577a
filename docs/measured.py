"""What the results' files say, in the words of the pages: see numbers_in_prose.py."""

from __future__ import annotations

import csv
import re
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from longlag.statistics import bootstrap_mean, clopper_pearson

RESULTS = Path(__file__).parent.parent / "results"

Line = dict[str, str]


# -- files ----------------------------------------------------------------------------------------


@cache
def read(file: str) -> str:
    """A results' file."""
    return (RESULTS / file).read_text()


@cache
def lines(file: str) -> list[Line]:
    """The lines of a CSV, or of all Markdown tables of a page, by the names of their columns."""
    if file.endswith(".csv"):
        return list(csv.DictReader(read(file).splitlines()))
    found: list[Line] = []
    head: list[str] = []
    for text in read(file).splitlines():
        cells = [cell.strip() for cell in text.strip()[1:-1].split("|")]
        if not text.startswith("|"):
            head = []
        elif not head:
            head = cells
        elif set("".join(cells)) - set(":-"):
            found.append(dict(zip(head, cells, strict=True)))
    return found


def cell(file: str, column: str, where: Line) -> str:
    """What stands in a column of the one line that has these cells in others."""
    has = (line for line in lines(file) if column in line and where.items() <= line.items())
    (line,) = has
    return line[column]


def middle(text: str) -> str:
    """7,200 of '7,200 (6,400 to 11,200)'."""
    return text.partition(" (")[0].removeprefix("≥ ")


def around(text: str) -> str:
    """6,400 to 11,200 of '7,200 (6,400 to 11,200)'."""
    return text.partition(" (")[2].removesuffix(")")


def number(text: str) -> float:
    """7200.0 of '7,200 (6,400 to 11,200)'."""
    return float(middle(text).replace(",", ""))


def thousands(value: float) -> str:
    """To the nearest thousand."""
    return f"{1000 * round(value / 1000):,}"


# -- studies --------------------------------------------------------------------------------------

FURTHER = "≤ 0.65 % wrong of 25,600 more"
CHANCE, LOOSE, STRICT = "MSE < 0.030", "n_seq = 140", "n_seq = 13"


def lag(T: str, column: str, recipe: str = "robust") -> str:
    """Of the study of lag scaling."""
    return cell("lag/table.md", column, {"recipe": recipe, "T": T})


def longest(column: str) -> str:
    """Of ten seeds at T = 100,000."""
    return cell("longest_lag/table.md", column, {"T": "100,000"})


def of_task(task: str, *columns: str) -> list[str]:
    """Of the study of all tasks: columns, without ranges."""
    return [middle(cell("tasks/table.md", column, {"task": task})) for column in columns]


def papers_rows() -> list[str]:
    """In how many rows of the paper's experiments robust solves all seeds from fewer sequences than
    the paper's network, of how many."""
    (found,) = re.findall(r"In (\d+) of (\d+) rows all seeds", read("tasks/table.md"))
    return [*found]


def solved_everywhere() -> list[str]:
    """How many seeds of each of the paper's experiments robust solves, and the interval.

    Raises:
        ValueError: the experiments differ in this.
    """
    every = (line for line in lines("tasks/table.md") if line["paper"] != "–")
    (found,) = {(line["solved"], line["95 % interval"]) for line in every}
    return [*found]


def exponents() -> list[str]:
    """Of T: how robust's sequences and its seconds grow."""
    return re.findall(r"T to the power (\d\.\d+)", read("lag/table.md"))


def exponent_intervals(resamples: int = 2000) -> list[str]:
    """95 % bootstrap intervals of the two exponents: the seeds of each T drawn anew, and the line
    through the medians fitted to them."""
    found: dict[int, list[tuple[float, float]]] = {}
    for line in lines("lag/trials.csv"):
        if line["recipe"] == "robust" and line["status"] == "target":
            took = float(line["sequences"]), float(line["seconds"])
            found.setdefault(int(line["T"]), []).append(took)
    rng, x = np.random.default_rng(0), np.log(list(found))
    seeds = [np.array(every) for every in found.values()]
    slopes = []
    for _ in range(resamples):
        drawn = (every[rng.integers(len(every), size=len(every))] for every in seeds)
        medians = np.log([np.median(one, axis=0) for one in drawn])  # (lengths, 2)
        slopes.append(np.polyfit(x, medians, 1)[0])
    low, high = np.percentile(slopes, [2.5, 97.5], axis=0)
    return [f"{a:.2f} to {b:.2f}" for a, b in zip(low, high, strict=True)]


def seeds(recipe: str, T: str, rule: str, column: str = "seeds") -> str:
    """Of the study of stuck seeds."""
    return cell("seeds/table.md", column, {"recipe": recipe, "T": T, "rule": rule})


def gate(name: str, output: str, column: str) -> str:
    """Of the study of the forget gate, at T = 30."""
    where = {"T": "30", "forget gate": name, "output": output}
    return cell("forget_gate/table.md", column, where)


def kept(name: str) -> str:
    """By an initial forget gate over the shortest lag, in per cent."""
    return f"{100 * float(gate(name, 'sigmoid from 1/2', 'σ(b)^lag')):.2g}"


def table8(n_seq: str, column: str) -> str:
    """Of our trials of table 8."""
    where = {"stop": f"fewer than {n_seq} wrong", "who": "here"}
    return cell("table8/table.md", column, where)


def window(n_seq: str, measure: str) -> str:
    """Over the training window at a stop of table 8."""
    line = re.search(rf"fewer than {n_seq} wrong: over the .*", read("table8/table.md"))
    assert line is not None
    found = re.search(rf"{measure} (\d\.\d+)", line[0])
    assert found is not None
    return found[1]


def variant(reading: str, n_seq: str, column: str) -> str:
    """Of a reading of the paper's details, by words in its name."""
    (full,) = {ln["reading"] for ln in lines("table8/variants.md") if reading in ln["reading"]}
    return cell("table8/variants.md", column, {"reading": full, "n_seq": n_seq})


def printed_over_measured(measure: str) -> tuple[float, float]:
    """The paper's "MSE" at both stops over what goes with its wrong answers."""
    asked = (("140: 139 wrong", 0.0223), ("13: 14 wrong", 0.0139))
    column = "measured here"
    first, second = (
        paper / number(cell("table8/mse_column.md", column, {"stop": stop, "measure": measure}))
        for stop, paper in asked
    )
    return first, second


def sequences(file: str, n_seq: str) -> dict[int, float]:
    """By seed: how many each trial took, or the budget."""
    found = (line for line in lines(file) if line["n_seq"] == n_seq)
    return {int(line["seed"]): float(line["sequences"]) for line in found}


def mean_sequences(n_seq: str, seeds: range) -> str:
    """Of our trials of table 8 with these seeds."""
    every = sequences("table8/trials.csv", n_seq)
    return thousands(statistics.mean(every[seed] for seed in seeds))


def longer_by(n_seq: str) -> tuple[str, str]:
    """Sequences more, seed by seed, with this step's cells: their mean and its interval."""
    previous = sequences("table8/trials.csv", n_seq)
    current = sequences("table8/variants/current/trials.csv", n_seq)
    more = [current[seed] - previous[seed] for seed in previous]
    low, high = map(thousands, bootstrap_mean(more))
    return thousands(statistics.mean(more)), f"{low} to {high}"


def table_of(name: str, row: str, column: str = "solved") -> str:
    """Of a row of one of the paper's tables, run again: how many trials are solved, or another
    column."""
    return cell(f"paper/{name}/table.md", column, {"row": row})


def very_long_lags() -> list[list[str]]:
    """Table 3: a line a lag, with solved trials and mean sequences of each reading.

    The main reading is that of the table itself, which has more trials.
    """
    found = lines("paper/distractors/table.md")
    own: dict[str, dict[str, str]] = {}  # by lag and reading
    paper: dict[str, str] = {}
    for here, printed in zip(found[::2], found[1::2], strict=True):  # a line of each a row
        lag, _, reading = here["row"].partition(": ")
        own.setdefault(lag, {})[reading] = f"{here['solved']}, {here['sequences: mean']}"
        paper[lag] = printed["sequences: mean"]
    readings = ("initial weights in ±0.02", "no recurrent connections")
    return [
        [
            lag.replace("q = ", "").replace("p = ", ""),
            f"{table_of('table3', lag)}, {table_of('table3', lag, 'sequences: mean')}",
            *(tried.get(reading, "–") for reading in readings),
            paper[lag],
        ]
        for lag, tried in own.items()
    ]


def register(column: str, digits: int = 3, T: str = "") -> str:
    """Median over the robust networks of the study of the register, of one T or all."""
    values = (float(line[column]) for line in _robust_networks() if T in ("", line["T"]))
    return f"{statistics.median(values):.{digits}f}"


def one_cell(column: str) -> str:
    """In how many of them a single cell is the smallest set."""
    sets = [line[column].split() for line in _robust_networks()]
    return f"{sum(len(cells) == 1 for cells in sets)} of {len(sets)}"


def _robust_networks() -> list[Line]:
    return [line for line in lines("register/networks.csv") if line["recipe"] == "robust"]


def catalog_rmse(seed: str) -> str:
    """Of a network of `catalog`."""
    return cell("register/table.md", "RMSE", {"recipe": "catalog", "T": "30", "seed": seed})


def movement(batch: str) -> float:
    """The cost of `catalog`'s training step, in millions."""
    where = {"algorithm": "bptt", "T": "30", "hidden": "8", "batch": batch, "bytes": "4"}
    return float(cell("movement/movement.csv", "cost", where)) / 1e6


# -- arithmetic -----------------------------------------------------------------------------------


def bound(solved: int, n: int, end: int) -> str:
    """An end (0 or 1) of a rate's exact interval."""
    return f"{clopper_pearson(solved, n)[end]:.3f}"


def largest_mse(wrong: int, n: int = 2560) -> float:
    """Were every wrong answer off by 1 and every other by the tolerance."""
    return (wrong + (n - wrong) * 0.04**2) / n


def error_of_wrong(mse: float, wrong: int, n: int = 2560) -> float:
    """Root mean square of the wrong answers' errors, were every other one off by the tolerance."""
    return ((mse * n - (n - wrong) * 0.04**2) / wrong) ** 0.5


# -- the benchmark --------------------------------------------------------------------------------

OURS = "longlag kernel, data included"
SIZES = ("T = 30, H = 8", "T = 100, H = 8", "T = 1000, H = 8", "T = 30, H = 32", "T = 30, H = 128")
PEERS = {
    "PyTorch eager": "PyTorch `nn.LSTM`, eager",
    "JAX jit": "JAX, jit and scan",
    "JAX vmap, a seed of 16": "JAX, 16 seeds under vmap, a seed",
    "numpy reference": "numpy reference",
}


@cache
def bench() -> dict[tuple[str, str], Line]:
    """The lines of bench.txt by what is measured and who does it: median, spread, × ours, × floor.

    A ratio stands there twice, by the clock and by CPU time; here it is that by the clock.
    """
    found: dict[tuple[str, str], Line] = {}
    at: list[tuple[str, slice]] = []
    what = ""
    for text in read("bench/bench.txt").splitlines():
        if title := re.fullmatch(r"(\S.*): (?:µs|ns) an? .+", text):
            what, at = title[1], []
        elif text.lstrip().startswith("median"):
            heads = list(re.finditer(r"\S+(?: \S+)*", text))
            ends = [head.start() for head in heads[1:]] + [None]
            at = [(h[0], slice(h.start(), end)) for h, end in zip(heads, ends, strict=True)]
        elif at and text:
            who = text[: at[0][1].start].strip().partition(", at ")[0]
            found[what, who] = {name: text[where].strip() for name, where in reversed(at)}
        else:
            at = []
    return found


def timed(who: str, size: str) -> Line:
    """Of an iteration of batch training, by one thread."""
    return bench()[f"{size}, 1 thread", who]


def times(who: str, size: str) -> str:
    """How many times as long as the kernel a peer takes."""
    return _ratio(float(timed(who, size)["× ours"]))


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value > 9.95 else f"{value:.1f}"


def iterations(sizes: tuple[str, ...] = SIZES) -> list[list[str]]:
    """µs an iteration, a line a contestant."""
    table = []
    for who, name in {"floor": "the floor", OURS: "**longlag kernel**", **PEERS}.items():
        row = [timed(who, size)["median"] for size in sizes]
        if who in PEERS:
            row = [f"{x} ({times(who, size)} ×)" for x, size in zip(row, sizes, strict=True)]
        table.append([name, *row])
    return table


def fixed_cost() -> list[str]:
    """What a step takes, × floor, and µs an iteration beside the steps, from T = 30 and 100; what
    follows for T = 1000, × floor; and the µs again."""
    floors = [number(timed("floor", size)["median"]) for size in SIZES[:3]]
    ours = [number(timed(OURS, size)["median"]) for size in SIZES[:2]]
    step = (ours[1] - ours[0]) / (floors[1] - floors[0])
    beside = ours[0] - step * floors[0]
    far = step + beside / floors[2]
    return [f"{step:.2f}", f"{beside:.0f}", f"{far:.2f}", f"{beside:.0f}"]


def online() -> list[list[str]]:
    """ns a step of a trial in the paper's regime, a line a contestant."""
    every = {who: line for (what, who), line in bench().items() if what.startswith("on-line, T")}
    return [
        [f"**{who}**" if who == OURS else who, line["median"], line["× ours"]]
        for who, line in every.items()
    ]


def targets() -> list[list[str]]:
    """What was aimed at and what is measured, a line a target."""
    return [*_of_floors(), *_on_line(), *_of_commands()]


def _of_floors() -> Iterator[list[str]]:
    for size, most in zip(SIZES, ("1.35",) * 3 + ("1.3",) * 2, strict=True):
        yield [f"an iteration, {size}", f"{most} × floor", f"{timed(OURS, size)['× floor']} ×"]
    order = timed(OURS, "temporal-order, T = 100, H = 8")["× floor"]
    yield ["temporal order, T = 100, H = 8", "2.2 × floor", f"{order} ×"]
    test = bench()["testing, T = 10000, H = 8, 1 thread", "longlag kernel, drawn and scored"]
    yield ["a test, T = 10,000", "1.3 × floor", f"{test['× floor']} ×"]


def _on_line() -> Iterator[list[str]]:
    ours, alone = (
        float(bench()["on-line, T = 100, 93 weights, 1 thread", who]["median"])
        for who in (OURS, "longlag kernel alone")
    )
    yield ["a trial-step on-line", "12 ns, 1.35 × without data", f"{ours} ns, {ours / alone:.2f} ×"]
    far = "on-line, very-long-lag, q = p = 1000, 6064 weights, 1 thread"
    yield ["the same, 2c, q = p = 1000", "400 ns", f"{bench()[far, OURS]['median']} ns"]


def without_avx512(what: str) -> list[str]:
    """Seconds of today's version and of the one before, on a processor that has only AVX2."""
    where = {"what": what}
    found = (
        cell("bench/versions_avx2.md", f"longlag {name}", where) for name in ("0.2.0", "0.1.0")
    )
    return [middle(seconds).removesuffix(" s") for seconds in found]


def _of_commands() -> Iterator[list[str]]:
    wanted = {
        "`robust`, T = 100, to its stop": "0.1 s",
        "`robust`, T = 1000, to its stop": "1 s",
        "`robust`, T = 10,000, to its stop": "15 s",
        "`longlag --help`": "0.3 s",
        "`import longlag`": "0.15 s",
    }
    for line in lines("bench/versions.md"):
        if line["what"] in wanted:
            yield [line["what"], wanted[line["what"]], middle(line["longlag 0.2.0"])]
        if line["what"] == "the same, by the clock":
            faster = line["before / after"]
            yield ["`study table8 --trials 10`, by the clock", "1.8 × as fast", f"{faster} ×"]
    yield ["`robust`, T = 100,000, to its stop", "240 s", middle(lag("100,000", "seconds")) + " s"]
