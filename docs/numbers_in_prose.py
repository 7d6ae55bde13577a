"""The numbers of measurement in README, docs and results, each with what it follows from.

    python docs/numbers_in_prose.py    # updates them after results have been run again

A sentence stands here with `{}` where its numbers are, and beside it what they must be by the
results' files (measured.py); a table of a page stands here by its head, with the lines that it
must have. So pages stay plain Markdown. tests/test_numbers_in_prose.py holds them to this, and
refuses numbers that look measured and are neither here nor in `GIVEN`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

from measured import (
    CHANCE,
    FURTHER,
    LOOSE,
    OURS,
    SIZES,
    STRICT,
    around,
    bound,
    catalog_rmse,
    cell,
    error_of_wrong,
    exponent_intervals,
    exponents,
    fixed_cost,
    gate,
    iterations,
    kept,
    lag,
    largest_mse,
    lines,
    longer_by,
    longest,
    mean_sequences,
    middle,
    movement,
    number,
    of_task,
    one_cell,
    online,
    papers_rows,
    printed_over_measured,
    read,
    register,
    seeds,
    sequences,
    solved_everywhere,
    table8,
    table_of,
    targets,
    timed,
    times,
    variant,
    very_long_lags,
    window,
    without_avx512,
)

from longlag.learning.recipe import recipe
from longlag.studies import cells as compared
from longlag.studies import table7
from longlag.tasks.score import LOOSE_SHARE, STRICT_SHARE

ROOT = Path(__file__).parent.parent

Sentence = tuple[str, Sequence[str]]  # with `{}` for each of the numbers
Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # its head, and its lines

FAR, FARTHEST = "10,000", "100,000"
LENGTHS = [line["T"] for line in lines("lag/table.md") if line["recipe"] == "robust"]
GATES = list(dict.fromkeys(line["forget gate"] for line in lines("forget_gate/table.md")))
HALF, QUARTER = "sigmoid from 1/2", "sigmoid from 1/4"  # outputs, by the answer they start from
LINEAR_HALF, LINEAR_QUARTER = "linear from 1/2", "linear from 1/4"
CATALOG, STARTED = "catalog", "catalog from 1/4"  # recipes of the study of stuck seeds
OUTPUTS = (HALF, QUARTER, LINEAR_HALF, LINEAR_QUARTER)
STRICTLY, INTERVAL = "strict", "95 % interval (strict)"  # columns of the study of the forget gate
RETENTION = "σ(b)^lag"
RATE = "95 % interval"
MEAN = "sequences: mean"  # a column of the paper's tables
REBER = "paper/table1-readings.md"
ORDER_3 = "6b: three symbols"
MULTIPLIED, ORDERED, COPIED = "multiplication", "temporal-order", "copy"
SOLVED_BOTH = ((MULTIPLIED, "solved"), (ORDERED, "solved"))
LEARNED = ((MULTIPLIED, "solved"), (MULTIPLIED, "sequences"))
FAR_ONES = ("lstm", "chrono", "attention")
LEARNERS = ("gru", "chrono", "minlstm", "mingru", "irnn", "attention")
LIMITED = ("gru", "mingru", "minlstm", "irnn", "lru")


# -- sentences ------------------------------------------------------------------------------------


def _chance(name: str) -> list[str]:
    """A recipe's chance level: mean square and its root."""
    mse = recipe(name).task.tested.chance_mse
    return [f"{mse:.4f}", f"{mse**0.5:.3f}"]


def _common(values: Sequence[str]) -> str:
    """What all of them are.

    Raises:
        ValueError: they differ, and so a page that names one for all is wrong.
    """
    (value,) = set(values)
    return value


def _solved(name: str, *lengths: str) -> list[str]:
    """How many trials a recipe of the lag study solves."""
    return [lag(T, "strict", name) for T in lengths]


def _rate(T: str, name: str = "robust") -> list[str]:
    """How many trials a recipe of the lag study solves, and the interval."""
    return [lag(T, column, name) for column in ("strict", RATE)]


OTHERS = (
    *("exclusive or, T = 100", "permutation, T = 100", "memorization of 5 bits, lag 100"),
    "copy of 10 symbols, lag 100",
)


def _spread(task: str) -> list[str]:
    """The median of a task's sequences, and their range."""
    (found,) = of_task(task, "sequences")
    text = cell("tasks/table.md", "sequences", {"task": task})
    return [found, around(text)]


def _first(table: str, column: str, row: str) -> list[str]:
    """Of a row of one of the paper's tables: solved trials, their mean and its interval."""
    where = {column: row}
    return [cell(f"paper/{table}/table.md", name, where) for name in ("solved", MEAN, RATE)]


NEAREST = "logistic, this, eq. 16"  # of tables 7, 8 and 9 together, on average


def readings(row: str, output: str = "") -> list[str]:
    """Of a row of tables 7 to 9: what comes out in each reading with this output."""
    found = lines("paper/readings.md")
    kept = [line for line in found if line["output, cells, error"].startswith(output)]
    return [line[row] for line in kept if line["output, cells, error"] != "**paper**"]


def _thousands(row: str, output: str = "") -> str:
    """The smallest and the largest mean of sequences."""
    means = [middle(text.replace("**", "")) for text in readings(row, output)]
    return " to ".join(sorted(means, key=number)[:: len(means) - 1])


def _mean_in(table: str, row: str) -> str:
    """A mean of sequences, in thousands."""
    mean = cell(f"paper/{table}/table.md", MEAN, {"row": row})
    return f"{'≥ ' if mean.startswith('≥') else ''}{number(mean) / 1000:,.0f}"


def _other_lags() -> str:
    """Solved trials of table 3 in each row but the first."""
    rows = [line for line in lines("paper/table3/table.md") if line["who"] == "here"]
    (solved,) = {line["solved"] for line in rows[1:]}
    return solved


def _not_stopped() -> str:
    """Trials of a linear output of the previous cells, without biases, that do not stop."""
    (line,) = (
        line
        for line in lines("paper/biases/table.md")
        if line["row"] == "T = 1000: linear, previous"
    )
    stopped, trials = line["solved"].split(" of ")
    return f"{int(trials) - int(stopped)} of {trials}"


LARGE = "all, the output's weights start at ±1"


def _output_weight(T: str, biases: str, what: str) -> str:
    return cell("paper/output_bias.md", what, {"T": T, "biases": biases})


def _without_biases() -> list[list[str]]:
    """Table 7 with a linear output of this step's cells: a line a T, in thousands."""
    usual = {T: middle(_fits(f"7: T = {T}", "linear, this, eq. 16")[0]) for T in (100, 500)}
    usual[1000] = _mean_in("long_adding", "T = 1000: linear output of this step's cells, rate 0.5")
    return [
        [
            str(T),
            usual[T],
            _mean_in("biases", f"T = {T}: linear, this"),
            f"{printed['sequences'] // 1000}",
        ]
        for T, printed in table7.PAPER.items()
    ]


def _fewest(but: str) -> str:
    """The smallest mean of the readings of T = 500, in thousands, without those of this name."""
    found = lines("paper/long_adding/table.md")
    rows = [r for r in found if r["row"].startswith("T = 500") and but not in r["row"]]
    return f"{min(number(row[MEAN]) for row in rows) / 1000:,.0f}"


def _fits(column: str, *readings: str) -> list[str]:
    """What readings of tables 7 to 9 have in a column: their factors, or shares of draws."""
    name = "output, cells, error"
    found = [cell("paper/readings.md", column, {name: reading}) for reading in readings]
    return [text.removesuffix("%") for text in found]


def _wrong_at(row: str) -> str:
    """The fewest and the most wrong answers of 2560 over the readings."""
    wrong = sorted(float(around(text).partition("; ")[2]) for text in readings(row))
    return f"{wrong[0]:.0f} to {wrong[-1]:.0f}"


def _solved_of(text: str) -> str:
    return around(text).partition(";")[0]


def _solved_by(*readings: str) -> str:
    """Of readings of table 1: the fewest and the most of 30 that are solved."""
    found = [cell(REBER, "solved", {"reading": reading}) for reading in readings]
    return " to ".join(sorted((text.removesuffix(" of 30") for text in found), key=int))


def _second_stop() -> str:
    return cell("paper/table8/table.md", "solved", {"stop": "fewer than 13 wrong"})


def _with_interval(share: str) -> list[str]:
    """A rate such as 11 of 30, and its exact 95 % interval."""
    solved, n = map(int, share.split(" of "))
    return [share, f"{bound(solved, n, 0)} to {bound(solved, n, 1)}"]


def _floors() -> list[str]:
    """Over the sizes: the kernel's least and greatest multiple of the floor."""
    ratios = sorted(float(timed(OURS, size)["× floor"]) for size in SIZES)
    return [f"{ratios[0]:g}", f"{ratios[-1]:g}"]


def _excess() -> str:
    """How many times as many fresh answers are wrong at the second stop as in its window."""
    where = {"stop": "fewer than 13"}
    fresh, seen = (number(cell("table8/selection.md", name, where)) for name in ("fresh", "window"))
    return f"{fresh / seen:.1f}"


def _shown(name: str) -> str:
    """Training sequences of a run in docs/explorer."""
    history = Path(__file__).parent / "explorer" / name / "history.json"
    return f"{json.loads(history.read_text())['sequences']:,}"


def _percents(ratios: Sequence[float]) -> list[str]:
    return [f"{100 * (ratio - 1):.0f}" for ratio in ratios]


def _within() -> str:
    """Per cent by which the paper's values are above the root mean squares that go with them."""
    return max(_percents(ROOT_MEAN_SQUARE), key=int)


WHERE_WRONG = "paper/where_wrong.md"


def _wrong_share(*bands: str) -> str:
    """The greatest share of table 7's targets in these bands that are answered wrongly."""
    where = {"reading": "main reading"}
    shares = (cell(WHERE_WRONG, f"wrong, target {band}", where) for band in bands)
    return max(shares, key=lambda share: float(share.removesuffix(" %"))).removesuffix(" %")


def _every_gate(output: str) -> str:
    """In how many trials of all cells with that output chance is left."""
    counts = [gate(name, output, CHANCE).split(" of ") for name in GATES]
    return " of ".join(str(sum(map(int, own))) for own in zip(*counts, strict=True))


def _halved() -> list[str]:
    """How much longer the halved error takes to the first stop, on the same seeds, and in how many
    trials it gets to the second."""
    slow, usual = (
        sequences(f"table8/variants/{name}/trials.csv", "140")
        for name in ("current-halved", "current")
    )
    ratio = sum(slow.values()) / sum(usual[seed] for seed in slow)
    return [f"{ratio:.1f}", _of_variant("(**halved**)", "13")]


def _of_variant(reading: str, n_seq: str) -> str:
    solved, trials = (variant(reading, n_seq, column) for column in ("solved", "trials"))
    return f"{solved} of {trials}"


FEWER_WITH_BIAS_2 = "bias 2 has even fewer ({}) than bias 1 ({})"


def _fewer_with_bias_2() -> list[str]:
    return [gate(name, LINEAR_QUARTER, STRICTLY) for name in ("bias 2", "bias 1")]


def _two_seeds() -> str:
    """How many times as fast two cores train two seeds."""
    found = re.search(r"two seeds on two cores .* both: × (\d\.\d+)", read("bench/bench.txt"))
    assert found is not None
    return found[1]


ROOT_MEAN_SQUARE = printed_over_measured("RMSE")
THROUGH_FORGET_GATE = cell(
    "register/table.md", "robust, T = 100 (10)", {"": "share of x₁ x₂ in f c, best cell"}
)


def _at(T: str, name: str, *asked: tuple[str, str]) -> list[str]:
    """Of the comparison of cells at one T: columns on tasks."""
    table = "cells/lags/table.md" if T == "1000" else "cells/table.md"
    found = (cell(table, column, {"cell": name, "T": T, "task": task}) for task, column in asked)
    return [text.replace("/", " of ") for text in found]


def _by_cell(name: str, *asked: tuple[str, str]) -> list[str]:
    """The same at T = 100."""
    return _at("100", name, *asked)


def _rate_by_cell(name: str) -> list[str]:
    """How many seeds of the multiplication problem it solves, and the interval."""
    solved, ends = _by_cell(name, (MULTIPLIED, "solved"), (MULTIPLIED, "95 %"))
    return [solved, ends.replace("–", " to ")]


def _span_of_weights() -> list[str]:
    """The fewest and the most weights of a cell on the multiplication problem."""
    found = [line["weights"] for line in lines("cells/table.md") if line["task"] == MULTIPLIED]
    return sorted(found, key=number)[:: len(found) - 1]


def _largest_rates() -> str:
    """For how many cells of the search the largest rate was the best."""
    return str(read("cells/search/table.md").count("this rate is the largest that was tried"))


def _tuned_rate(name: str) -> str:
    """The learning rate that the search chose for a cell."""
    return f"{json.loads(read('cells/search/tuned.json'))['cells'][name]['learning_rate']:g}"


def _weights(name: str) -> int:
    """How many weights the network of a recipe has."""
    return len(recipe(name).learner(0).weights)


SENTENCES: dict[str, list[Sentence]] = {
    "results/cells/README.md": [
        ("was chosen; {} training sequences at most", [f"{compared.BUDGET:,}"]),
        (
            "`lstm` solves {}, after {} sequences as before. Chrono solves {}, after {}, attention "
            "{}, after {}, the GRU {}, the minGRU {}, the minLSTM {}, the ReLU network {} and the "
            "LRU {}.",
            [
                *(text for name in FAR_ONES for text in _at("300", name, *LEARNED)),
                *(text for name in LIMITED for text in _at("300", name, (MULTIPLIED, "solved"))),
            ],
        ),
        (
            "`lstm` solves {}, chrono {}, attention {}, the GRU {}, the minGRU {}, the minLSTM {}, "
            "the ReLU network {} and the LRU {}.",
            [text for name in FAR_ONES + LIMITED for text in _at("300", name, (ORDERED, "solved"))],
        ),
        (
            "still learns copy**: it solves {}, after {} sequences; `lstm` solves {}.",
            [
                *_at("300", "attention", (COPIED, "solved"), (COPIED, "sequences")),
                *_at("300", "lstm", (COPIED, "solved")),
            ],
        ),
        (
            "a trial of chrono takes {} s on multiplication, one of attention {} s",
            [s for name in FAR_ONES[1:] for s in _at("300", name, (MULTIPLIED, "seconds"))],
        ),
        (
            "`lstm` solves {} seeds after {} sequences, chrono {} after {}, attention {} after {}.",
            [
                t
                for name in FAR_ONES
                for t in _at("1000", name, (ORDERED, "solved"), (ORDERED, "sequences"))
            ],
        ),
        (
            "**Copy becomes harder for attention, too**: it solves {}, after {} sequences where",
            _at("1000", "attention", (COPIED, "solved"), (COPIED, "sequences")),
        ),
        (
            "sequences where it needed {} at T = 300 and",
            _at("300", "attention", (COPIED, "sequences")),
        ),
        ("at T = 300 and {} at T = 100.", _at("100", "attention", (COPIED, "sequences"))),
        (
            "The GRU solves {}, the minGRU {}, the minLSTM {}, the ReLU network {} and the LRU {}.",
            [t for name in LIMITED for t in _at("1000", name, (ORDERED, "solved"))],
        ),
        (
            "it solves {} after {}. The minLSTM solves {} after {}, the minGRU {}, chrono {}, the "
            "GRU {} and attention {}.",
            [
                *_at("1000", "lstm", *LEARNED),
                *_at("1000", "minlstm", *LEARNED),
                *(
                    text
                    for name in ("mingru", "chrono", "gru", "attention")
                    for text in _at("1000", name, (MULTIPLIED, "solved"))
                ),
            ],
        ),
        (
            "initialises itself solves {} seeds of multiplication and {} of temporal order",
            _by_cell("torch-lstm", *SOLVED_BOTH),
        ),
        ("with chrono initialisation solves {} and {}.", _by_cell("chrono", *SOLVED_BOTH)),
        (
            "of multiplication PyTorch's GRU solves {}, after {} sequences, chrono {}, after {}, "
            "the minLSTM {}, after {}, the minGRU {}, after {}, the ReLU network that starts at "
            "the identity {}, after {}, and attention {}, after {}; the LRU solves {} within",
            [
                *(text for name in LEARNERS for text in _by_cell(name, *LEARNED)),
                *_by_cell("lru", (MULTIPLIED, "solved")),
            ],
        ),
        (
            "the batches and the cells of `robust`, solves {}, after {}.",
            _by_cell("lstm", *LEARNED),
        ),
        (
            "Of temporal order each of these eight solves {}; PyTorch's RNN",
            [
                *{
                    text
                    for name in (*LEARNERS, "lru", "lstm")
                    for text in _by_cell(name, (ORDERED, "solved"))
                }
            ],
        ),
        (
            "attention solves {} after {} sequences, `lstm` {} after {},",
            [
                *_by_cell("attention", (COPIED, "solved"), (COPIED, "sequences")),
                *_by_cell("lstm", (COPIED, "solved"), (COPIED, "sequences")),
            ],
        ),
        (
            "eight settings, three seeds (1000 to 1002), {} sequences, T = 50",
            [f"{compared.SEARCH_BUDGET:,}"],
        ),
        ("For {} cells the largest rate", [_largest_rates()]),
        ("with its rate of {} the GRU's gradient", [_tuned_rate("gru")]),
        ("numbers of weights: {} to {} of them", _span_of_weights()),
        ("On copy `lstm` has {},", _at("300", "lstm", (COPIED, "weights"))),
    ],
    "docs/reference/recipes.md": [
        ("2a and 2b, noise-free long lag, p = 100 | {} |", [f"{_weights('paper-long-lag'):,}"]),
    ],
    "README.md": [
        (
            "| at T = 100 {} are strict, after a median of {} sequences; at T = 100,000 {}, after "
            "{} |",
            [
                *(lag("100", "strict"), middle(lag("100", "sequences"))),
                *(longest("strict"), middle(longest("sequences"))),
            ],
        ),
        (
            "{} seeds learn sequences of 10,000 steps, and {} learn 100,000.",
            [lag(FAR, "strict"), longest("strict")],
        ),
        (
            "| {} seeds in {} rows of its experiments, each from fewer",
            [solved_everywhere()[0], papers_rows()[0]],
        ),
        (
            "| {} trials reach its first stop, after {} sequences on average;",
            [table8("140", "solved"), table8("140", "sequences: mean")],
        ),
        (
            "wrong, that would be at most {} for answers between 0 and 1, but 0.0139 is printed;",
            [f"{largest_mse(14):.4f}"],
        ),
        (
            "initial bias matters: {} are strict if answers start at ½, {} if at ¼,",
            [seeds(name, "30", STRICT) for name in (CATALOG, STARTED)],
        ),
        (
            "at T = 300, within {} sequences: longlag's `lstm` on {} seeds, PyTorch's LSTM with "
            "chrono initialisation on {}, its GRU on {}, attention on {}; PyTorch's LSTM with its "
            "default initialisation on {} even at T = 100 |",
            [
                f"{compared.BUDGET:,}",
                *(
                    text
                    for name in ("lstm", "chrono", "gru", "attention")
                    for text in _at("300", name, (MULTIPLIED, "solved"))
                ),
                *_by_cell("torch-lstm", (MULTIPLIED, "solved")),
            ],
        ),
        (
            "| {} times as fast as PyTorch at 8 cells and T = 30, {} times at T = 1000; {} times "
            "at 128 cells |",
            [times("PyTorch eager", size) for size in (SIZES[0], SIZES[2], SIZES[-1])],
        ),
    ],
    "docs/faq.md": [("up to T = 30,000, and {} at T = 100,000", [longest("strict")])],
    "docs/howto/table8.md": [("without `--reads current`, {} trials", [_not_stopped()])],
    "docs/explanation/problem.md": [
        (
            "chance (best constant answer), MSE / RMSE | {} / {} at T = 100 | 7/144 = {} / {} |",
            [*_chance("robust"), *_chance("catalog")],
        ),
    ],
    "docs/explanation/open-questions.md": [
        (
            "At T = 30, {} seeds leave chance within the budget and {} become strict; with the "
            "output's bias at −log 3, and nothing else changed, {} and {}. At T = 100, {} leave "
            "chance, and {} with the other bias. `robust`: {} strict at T = 30, {} at T = 100.",
            [
                *(seeds(CATALOG, "30", rule) for rule in (CHANCE, STRICT)),
                *(seeds(STARTED, "30", rule) for rule in (CHANCE, STRICT)),
                *(seeds(name, "100", CHANCE) for name in (CATALOG, STARTED)),
                *(seeds("robust", T, STRICT) for T in ("30", "100")),
            ],
        ),
        (
            "with bias 1, {} seeds then leave chance, with the cell of 1997 {}. Where it starts "
            "wrong, {} do with bias 1",
            [gate(cell, QUARTER, CHANCE) for cell in ("bias 1", "1997 cell")]
            + [gate("bias 1", HALF, CHANCE)],
        ),
        (
            "and {} at T = 100,000; the median grows from {} sequences to {}, as T to the power "
            "{}, seconds as T to the power {}. At T = 100 a forget bias of log T alone solves {}, "
            "PyTorch's GRU {}, an identity-initialised ReLU network {}.",
            [
                longest("strict"),
                *(middle(lag("30", "sequences")), middle(longest("sequences"))),
                *exponents(),
                *(
                    lag("100", "strict", by)
                    for by in ("forget bias log T", "GRU", "ReLU, identity")
                ),
            ],
        ),
        (
            "costs {} million by the data movement distance on one sequence, {} million on 32.",
            [f"{movement('1'):.1f}", f"{movement('32'):.0f}"],
        ),
    ],
    "docs/explorer/index.md": [
        (
            "after {} sequences it multiplies two values that lie far back",
            [_shown("solved")],
        ),
        ("It has seen {} sequences, and gives the same answer to all", [_shown("stuck")]),
    ],
    "docs/index.md": [
        (
            "where {} seeds of `catalog` leave chance, `robust` solves {} strictly",
            [seeds(CATALOG, "100", CHANCE), seeds("robust", "100", STRICT)],
        ),
        (
            "that `robust` needs goes from {} at T = 30 to {} at T = 100,000",
            [middle(lag("30", "sequences")), middle(longest("sequences"))],
        ),
    ],
    "docs/explanation/kernel.md": [
        ("Two seeds on two cores come out {} times as fast", [_two_seeds()]),
        ("the kernel takes {} to {} times the floor", _floors()),
        (
            "at 128 cells PyTorch takes {} times as long, JAX {} times.",
            [times(who, SIZES[-1]) for who in ("PyTorch eager", "JAX jit")],
        ),
        ("is but {} multiply-adds", [f"{4 * 8 * (8 + 3) * 32:,}"]),
        (
            "follow if steps take {} times their floor and the rest of an iteration {} µs; T = "
            "1000 would then take {} times the floor. The {} µs are",
            fixed_cost(),
        ),
        (
            "800 sequences and a test of that length take {} s instead of {} s, and `robust` at "
            "T = 10,000 takes {} s instead of {} s to its stop",
            [
                *without_avx512("`robust`, T = 100,000, 100 iterations and a test"),
                *without_avx512("`robust`, T = 10,000, to its stop"),
            ],
        ),
        ("beside other load, those that are solved take {} s", [middle(longest("seconds"))]),
    ],
    "docs/explanation/strict.md": [
        (
            "at T = 30, {} seeds meet it, {} become loose and {} strict",
            [seeds(CATALOG, "30", rule) for rule in (CHANCE, LOOSE, STRICT)],
        ),
        ("the rate on fresh sequences is {} times the rate in the window", [_excess()]),
        (
            "{} means at least {}, {} at most {}.",
            ["30 of 30", bound(30, 30, 0), "0 of 30", bound(0, 30, 1)],
        ),
        ("7 % wrong, the paper's first stop | {} |", [f"{int(LOOSE_SHARE * 2560)}"]),
        ("0.65 % wrong, the paper's second stop | {} |", [f"{int(STRICT_SHARE * 2560)}"]),
        ("Chance is {} by its rules", _chance("catalog")[:1]),
    ],
    "docs/explanation/stuck-seeds.md": [
        (
            "At T = 30, {} seeds of `catalog` fell, after {} sequences; the others had not",
            [
                seeds(CATALOG, "30", CHANCE),
                around(seeds(CATALOG, "30", CHANCE, "sequences, median (range)")),
            ],
        ),
        (
            "they fall after {} sequences. At T = 100 none falls, changed or not: {} and {}.",
            [
                around(seeds(STARTED, "30", CHANCE, "sequences, median (range)")),
                *(seeds(name, "100", CHANCE) for name in (CATALOG, STARTED)),
            ],
        ),
        (
            "The cell of 1997 shows it most: from {} to {}.",
            [
                gate("1997 cell", HALF, CHANCE).removesuffix(" of 30"),
                gate("1997 cell", QUARTER, CHANCE),
            ],
        ),
        ("(its slope at 2 is {})", [f"{1 - math.tanh(2) ** 2:.2f}"]),
        ("bias 2 on, which keeps {} % over the lag,", [kept("bias 2")]),
        ("starts right, the {} % of bias 1 is enough", [kept("bias 1")]),
        (FEWER_WITH_BIAS_2, _fewer_with_bias_2()),
    ],
    "docs/table8.md": [
        (
            "the largest is {} after 10,000 sequences at T = 100 (median of 16 trials), and the",
            [_output_weight("100", "all", "after 10,000")],
        ),
        (
            "must give the mean, and the largest weight is {}.",
            [_output_weight("100", "of the gates alone", "after 10,000")],
        ),
        (
            "stop after a median of {} sequences instead of {}. At T = 500 such weights have "
            "shrunk to {} after 40,000 sequences, and {} trials stop within 300,000",
            [
                _output_weight("100", LARGE, "median sequences"),
                _output_weight("100", "all", "median sequences"),
                *(_output_weight("500", LARGE, what) for what in ("after 40,000", "stopped")),
            ],
        ),
        (
            "and a mean square of {}. **It agrees",
            [window("140", "MSE")],
        ),
        (
            "1² + 2546/2560 · 0.04² = {}. The table prints",
            [f"{largest_mse(14):.4f}"],
        ),
        ("that are off by {} in the root mean square", [f"{error_of_wrong(0.0223, 139):.2f}"]),
        (
            "values are {} and {} % above the RMSE that goes with these counts, {} and {} % above "
            "the mean absolute error, and {} and {} times the mean square.",
            [
                *_percents(ROOT_MEAN_SQUARE),
                *_percents(printed_over_measured("mean absolute error")),
                *(f"{ratio:.0f}" for ratio in printed_over_measured("MSE")),
            ],
        ),
        (
            "fresh RMSE is {} and {}, and over the training window at the stop, whose count is "
            "the paper's threshold, {} and {}: printed",
            [
                *(table8(n_seq, "RMSE") for n_seq in ("140", "13")),
                *(window(n_seq, "RMSE") for n_seq in ("140", "13")),
            ],
        ),
        (
            "this step's cells take {} ({}) sequences more to the first stop and {} ({}) more to "
            "the second",
            [*longer_by("140"), *longer_by("13")],
        ),
        (
            "now have means of {} and {}, and seeds 16 to 31, not used for it, {} and {}.",
            [
                mean_sequences(n_seq, own)
                for own in (range(16), range(16, 32))
                for n_seq in ("140", "13")
            ],
        ),
        (
            "The halved error takes {} times as many sequences to the first stop as the same "
            "reading with the factor 2 on the same seeds, and {} trials reached",
            _halved(),
        ),
        (
            "at T = 100 {} trials stop, after {} sequences on average, at T = 500 {}, after {}.",
            [x for T in ("100", "500") for x in _first("table7", "stop", f"T = {T}")[:2]],
        ),
        (
            "with it {} trials stop at T = 100, after {} thousand sequences on average",
            [
                _common([_solved_of(text) for text in readings("7: T = 100", "linear")]),
                _thousands("7: T = 100", "linear"),
            ],
        ),
        (
            "readings](../results/paper/readings.md) have {} and {}. They remain unexplained.",
            [_wrong_at(f"8: n_seq = {n_seq}") for n_seq in ("140", "13")],
        ),
        (
            "by a factor of {} on average over the six rows,",
            _fits("factor", NEAREST),
        ),
        (
            "in table 7 at T = 100, where it needs {} thousand sequences and the paper 74.",
            [middle(_fits("7: T = 100", NEAREST)[0])],
        ),
        (
            "it is the nearest in {} % of the draws, and a linear output that reads the previous "
            "step's cells, with eq. 19, in {} %.",
            _fits("best", NEAREST, "linear, previous, eq. 19"),
        ),
        (
            "it solves {} trials of 6b, in ten times",
            [_solved_of(_fits("9: 6b", "linear, previous, eq. 19")[0])],
        ),
        (
            "each linear reading solves {}. In 6a",
            [_common([_solved_of(text) for text in readings("9: 6b", "linear")])],
        ),
        (
            "At T = 500 the eight readings need {} thousand sequences, and the paper 209.",
            [_thousands("7: T = 500")],
        ),
        (
            "a constant length or another initial output, {} thousand or more are needed",
            [_fewest("gates alone")],
        ),
        (
            "without that of the output alone, {} stop at T = 500, after {} thousand.",
            [
                table_of("biases", "T = 500, cells with biases: linear, this"),
                _mean_in("biases", "T = 500, cells with biases: linear, this"),
            ],
        ),
        (
            "biases of the gates alone change little: {} thousand at T = 100.",
            [_mean_in("biases", "T = 100: logistic, this")],
        ),
        (
            "answer at most {} % of the targets between 0.1 and 0.9 wrongly, but {} % of those "
            "below 0.1 and {} % of those above 0.9",
            [
                _wrong_share("0.1 to 0.3", "0.3 to 0.7", "0.7 to 0.9"),
                _wrong_share("0 to 0.1"),
                _wrong_share("0.9 to 1"),
            ],
        ),
        (
            "under its rules (by {} and {} trials)",
            [table8(n_seq, "solved") for n_seq in ("140", "13")],
        ),
        (
            "all readings, both rows, within {} %",
            [_within()],
        ),
        (
            "reached the first stop in {} trials in 3,000,000 sequences",
            [_of_variant("**full** gradient", "140")],
        ),
    ],
    "docs/tutorials/first-run.md": [
        (
            "this happens in {} % of the sequences",
            [f"{100 * recipe('robust').task.hidden_share:.0f}"],
        ),
    ],
    "docs/paper.md": [
        (
            "3 blocks of 2 at rate 0.1, solves {} within ten times the paper's sequences",
            [table_of("table1", "3 blocks of 2, rate 0.1")],
        ),
        (
            "{} of the 256 strings are wrong somewhere, {} at the last step but one, where the "
            "symbol that must be kept counts, and {} at that step alone.",
            [
                cell(
                    REBER,
                    column,
                    {"reading": "512 different strings; weights change after a string; eq. 16"},
                )
                for column in ("wrong strings of 256", "last but one wrong", "it alone wrong")
            ],
        ),
        (
            "with 6 blocks of 2, {} of 30 trials are solved, and {} with 4 blocks of 2,",
            [
                _solved_by("A, 6 blocks of 2", "B, 6 blocks of 2, 512 different strings"),
                _solved_by("B, 4 blocks of 2, as they have", "B, 4 blocks of 2, rate 0.2"),
            ],
        ),
        (
            "Here {} of 2a are solved, and {} of 2b",
            [
                table_of("table2", "2a: regular, p = 100"),
                table_of("table2", "2b: no local regularities"),
            ],
        ),
        (
            "{} trials are solved at q = p = 50, and {} in each of the other rows",
            [table_of("table3", "q = 50, p = 50"), _other_lags()],
        ),
        (
            "Without these connections {} are solved at each lag",
            [table_of("distractors", "q = 1000, p = 1000: no recurrent connections")],
        ),
        (
            "With N = 1, {} trials meet both rules, in fewer sequences than the paper's; at T = "
            "1000, {} meet the second one,",
            [table_of("table4", "T = 100, N = 1, ST2"), table_of("table4", "T = 1000, N = 3, ST2")],
        ),
        ("the paper reports all of ten, {} do", [table_of("table4", "T = 100, N = 3, ST2")]),
        (
            "halves the gradient, {} do, after {} sequences on average ({}; paper 39,850), and "
            "with a quarter of the rate {}, after {} ",
            [
                *map(middle, _first("two_sequence", "row", "4: T = 100, N = 3, eq. 19, ST2")),
                *_first("two_sequence", "row", "4: T = 100, N = 3, rate 0.25, ST2")[:2],
            ],
        ),
        (
            "With the error of eq. 19, {} and {} sequences are needed",
            [table_of("two_sequence", f"6: T = 100, N = {n}, eq. 19", MEAN) for n in (3, 1)],
        ),
        (
            "at the stop have {} and {} wrong of 2560 further sequences, and the paper's 21 and 38",
            [
                f"{float(middle(table_of('table5', row, 'wrong of 2560 (range)'))):.0f}"
                for row in ("T = 100, N = 3, ST2", "T = 100, N = 1, ST2")
            ],
        ),
        (
            "In both rows of T = 100, {} trials meet both rules, after {} sequences on average "
            "({}) with N = 3 and {} ({}) with N = 1;",
            [
                _common([table_of("table5", f"T = 100, N = {n}, ST2") for n in (3, 1)]),
                *(x for n in (3, 1) for x in _first("table5", "row", f"T = 100, N = {n}, ST2")[1:]),
            ],
        ),
        (
            "in a row of ten trials, {} do, after {} on average ({};",
            _first("table5", "row", "T = 1000, N = 1, ST2"),
        ),
        (
            "In both rows, {} trials are solved, after {} sequences on average ({}) with N = 3 "
            "and {} ({}) with N = 1;",
            [
                _common([table_of("table6", f"T = 100, N = {n}") for n in (3, 1)]),
                *(x for n in (3, 1) for x in _first("table6", "row", f"T = 100, N = {n}")[1:]),
            ],
        ),
        (
            "at the stop has {} wrong of 2560 further",
            [middle(table_of("table6", "T = 100, N = 1", "wrong of 2560 (range)"))],
        ),
        (
            "At T = 1000, {} stop within the budget (paper 853,000).",
            [_first("table7", "stop", "T = 1000")[0]],
        ),
        (
            "about as early as the paper's at T = 100 and earlier at 500 and 1000, after {}, {} "
            "and {} thousand",
            [_mean_in("biases", f"T = {T}: linear, this") for T in (100, 500, 1000)],
        ),
        (
            "{} trials stop at T = 100, none of them within ten times the paper's mean, after {} "
            "sequences on average ({}; paper 74,000), and {} "
            "at T = 500, after {} ({}; paper 209,000;",
            [x for T in ("100", "500") for x in _first("table7", "stop", f"T = {T}")],
        ),
        (
            "With a linear output {} stop at T = 100 after {} thousand sequences on average, "
            "depending on the other details, and at T = 500 after {} thousand",
            [
                _common([_solved_of(text) for text in readings("7: T = 100", "linear")]),
                *(_thousands(row, "linear") for row in ("7: T = 100", "7: T = 500")),
            ],
        ),
        (
            "{} trials reach the first stop, after {} sequences on average ({}; paper 482,000), "
            "and {} the second within the budget",
            [*_first("table8", "stop", "fewer than 140 wrong"), _second_stop()],
        ),
        (
            "{} trials of 6a are solved, after {} sequences on average ({}; paper 31,390, ",
            _first("table9", "row", "6a: two symbols"),
        ),
        (
            "Of 6b, {} are solved, half of all trials within {} sequences;",
            [table_of("table9", ORDER_3), table_of("table9", ORDER_3, "median")],
        ),
        (
            "with their whole budgets, the mean is at least {} ({};",
            [*map(middle, _first("table9", "row", ORDER_3)[1:])],
        ),
    ],
    "docs/tutorials/seeds.md": [
        ("{} is compatible with every rate from {} up", ["3 of 3", bound(3, 3, 0)]),
    ],
    "results/tasks/README.md": [
        (
            "in {} of {} rows every seed is solved, {} ({}), and",
            [*papers_rows(), *solved_everywhere()],
        ),
        (
            "symbols of distractors {} sequences, where the paper's network needed {};",
            of_task("q = p = 1000", "sequences", "paper"),
        ),
        (
            "at T = 1000 takes {} ({}; paper {}), adding at T = 1000 {} (paper {}).",
            [
                *_spread("T = 1000, N = 3"),
                *of_task("T = 1000, N = 3", "paper"),
                *of_task("adding, T = 1000", "sequences", "paper"),
            ],
        ),
        (
            "exclusive or {}, permutation {}, memorization {} and copy {}, within 200,000",
            [of_task(name, "solved")[0] for name in OTHERS],
        ),
    ],
    "results/README.md": [
        (
            "as it initialises itself solves {} seeds of the multiplication problem ({});",
            _rate_by_cell("torch-lstm"),
        ),
        ("with chrono initialisation it solves {} ({}).", _rate_by_cell("chrono")),
        (
            "`robust` solves {} seeds ({}) in each of {} rows of the paper's experiments",
            [*solved_everywhere(), papers_rows()[0]],
        ),
        (
            "At T = 100 `robust` solves {} seeds strictly ({}), after a median of {} training",
            [*_rate("100"), middle(lag("100", "sequences"))],
        ),
        (
            "At T = 100,000 it solves {} ({}), after {} sequences.",
            [longest("strict"), longest(RATE), middle(longest("sequences"))],
        ),
        (
            "grow as T to the power {} ({}), and its seconds as T to the power {} ({}).",
            [x for pair in zip(exponents(), exponent_intervals(), strict=True) for x in pair],
        ),
        (
            "a forget bias of log T alone solves {} at T = 100 ({}).",
            _rate("100", "forget bias log T"),
        ),
        (
            "GRU of 8 units solves {} at T = 30 ({}), and {} at T = 100 ({});",
            [*_rate("30", "GRU"), *_rate("100", "GRU")],
        ),
        ("the identity solves {} at T = 100 ({}).", _rate("100", "ReLU, identity")),
        (
            "seeds, {} leave chance at T = 30 ({}), and {} become strict ({}).",
            [
                seeds(CATALOG, "30", rule, column)
                for rule in (CHANCE, STRICT)
                for column in ("seeds", RATE)
            ],
        ),
        (
            "instead of ½, {} leave chance ({}).",
            [seeds(STARTED, "30", CHANCE, column) for column in ("seeds", RATE)],
        ),
        (
            "none does, with either start: {} ({}).",
            [
                _common([seeds(name, "100", CHANCE, column) for name in (CATALOG, STARTED)])
                for column in ("seeds", RATE)
            ],
        ),
        (
            "the cell of 1997 leaves chance in {} seeds ({}), and in {} ({}) where it starts at ½.",
            [
                value
                for output in (QUARTER, HALF)
                for value in _with_interval(gate("1997 cell", output, CHANCE))
            ],
        ),
        (
            "first stop: {} trials of the paper's network reach it, after {} sequences on average "
            "({});",
            [table8("140", column) for column in ("solved", "sequences: mean", RATE)],
        ),
        ("that would be at most {} for answers between 0 and 1,", [f"{largest_mse(14):.4f}"]),
        (
            "In {} `robust` networks, ten each at T = 30, 100 and 300 ({}), one cell alone carries",
            _with_interval(one_cell("between_cells")),
        ),
        (
            "costs {} million on one sequence and {} million on 32.",
            [f"{movement('1'):.1f}", f"{movement('32'):.0f}"],
        ),
        (
            "takes {} times the floor of this core's arithmetic, and PyTorch takes {} times as "
            "long.",
            [timed(OURS, SIZES[0])["× floor"], times("PyTorch eager", SIZES[0])],
        ),
    ],
    "results/lag/README.md": [
        (
            "{} ({}) at T = 30 and at every length up to 3000, {} ({}) at T = 10,000.",
            [
                *(
                    _common([lag(T, column) for T in LENGTHS[: LENGTHS.index("3,000") + 1]])
                    for column in ("strict", "95 % interval")
                ),
                *_rate(FAR),
            ],
        ),
        (
            "at T = 100,000**, {} ({}): nine need {} sequences, the tenth",
            [longest("strict"), longest(RATE), around(longest("sequences"))],
        ),
        (
            "the median goes from {} at T = 30 to {} at T = 10,000, {} at T = 30,000 (three seeds) "
            "and {} at T = 100,000; as T to the power {},",
            [
                *(middle(lag(T, "sequences")) for T in ("30", FAR, "30,000", FARTHEST)),
                exponents()[0],
            ],
        ),
        (
            "(T to the power {}): a training step costs {} ns at T = 30 and {} ns at T = 100,000,",
            [exponents()[1], lag("30", "ns a step"), lag(FARTHEST, "ns a step")],
        ),
        ("A seed at T = 100,000 took {} seconds", [around(lag(FARTHEST, "seconds"))]),
        (
            "a forget bias of 1 solves {} at T = 30, {} at T = 100 and {} at T = 300; a bias of "
            "log T {}, {} and {}.",
            [
                *_solved("forget bias 1", "30", "100", "300"),
                *_solved("forget bias log T", "30", "100", "300"),
            ],
        ),
        (
            "a GRU of 8 units solves {} ({}) at T = 30, after {} sequences, and {} ({}) at T = "
            "100.",
            [
                *(lag("30", c, "GRU") for c in ("strict", "95 % interval")),
                middle(lag("30", "sequences", "GRU")),
                *(lag("100", c, "GRU") for c in ("strict", "95 % interval")),
            ],
        ),
        (
            "start as the identity solves {} and {}, after {} and {} sequences; of these, {} and "
            "{} hold the rule on further sequences",
            [
                *_solved("ReLU, identity", "30", "100"),
                *(middle(lag(T, "sequences", "ReLU, identity")) for T in ("30", "100")),
                *(lag(T, FURTHER, "ReLU, identity") for T in ("30", "100")),
            ],
        ),
    ],
    "results/seeds/README.md": [
        (
            "{} leave chance (test MSE < 0.030; exact 95 % interval {}), after {} sequences. "
            "Leaving chance is far from solving: {} meet the paper's first criterion (n_seq = "
            "140) and {} ({}) the second",
            [
                seeds(CATALOG, "30", CHANCE),
                seeds(CATALOG, "30", CHANCE, "95 % interval"),
                around(seeds(CATALOG, "30", CHANCE, "sequences, median (range)")),
                seeds(CATALOG, "30", LOOSE),
                *(seeds(CATALOG, "30", STRICT, c) for c in ("seeds", "95 % interval")),
            ],
        ),
        ("shows only {} for `catalog` at T = 30", [gate("bias 1", HALF, CHANCE)]),
        (
            "and not ½: {} ({}) leave chance, after a median of {} sequences instead of {}; {} "
            "meet n_seq = 140, {} ({}) n_seq = 13.",
            [
                *(seeds(STARTED, "30", CHANCE, c) for c in ("seeds", "95 % interval")),
                *(
                    middle(seeds(name, "30", CHANCE, "sequences, median (range)"))
                    for name in (STARTED, CATALOG)
                ),
                seeds(STARTED, "30", LOOSE),
                *(seeds(STARTED, "30", STRICT, c) for c in ("seeds", "95 % interval")),
            ],
        ),
        (
            "**T = 100.** {} ({}) leave chance, and {} with the other bias",
            [
                *(seeds(CATALOG, "100", CHANCE, c) for c in ("seeds", "95 % interval")),
                seeds(STARTED, "100", CHANCE),
            ],
        ),
        (
            "**`robust`.** {} ({}) meet all three criteria at T = 30, {} at T = 100, the "
            "strictest after a median of {} and {} sequences; {} and {} stay",
            [
                *(seeds("robust", "30", STRICT, c) for c in ("seeds", "95 % interval")),
                seeds("robust", "100", STRICT),
                *(
                    middle(seeds("robust", T, STRICT, "sequences, median (range)"))
                    for T in ("30", "100")
                ),
                *(seeds("robust", T, FURTHER) for T in ("30", "100")),
            ],
        ),
    ],
    "results/forget_gate/README.md": [
        (FEWER_WITH_BIAS_2, _fewer_with_bias_2()),
        (
            "sigmoid from ½): {} seeds leave chance, {} ({}) are solved strictly",
            [gate("bias 1", HALF, column) for column in (CHANCE, STRICTLY, INTERVAL)],
        ),
        ("shows {} seeds of `catalog` that leave chance", [seeds(CATALOG, "30", CHANCE)]),
        (
            "nothing else changed): {} leave chance, and over all cells tried {}. {} "
            "({}) are solved strictly",
            [
                gate("bias 1", QUARTER, CHANCE),
                _every_gate(QUARTER),
                *(gate("bias 1", QUARTER, column) for column in (STRICTLY, INTERVAL)),
            ],
        ),
        (
            "even from ½ ({} leave chance, {} strict): its answer has to fall by ¼ only. From ¼: "
            "{} and {}.",
            [
                gate("bias 1", output, column)
                for output in (LINEAR_HALF, LINEAR_QUARTER)
                for column in (CHANCE, STRICTLY)
            ],
        ),
        (
            "with a forget bias of 2, which keeps {} % over the lag where 1 keeps {} %, {} leave "
            "chance, from bias 4 on nearly all. But at this lag {} % is enough",
            [kept("bias 2"), kept("bias 1"), gate("bias 2", HALF, CHANCE), kept("bias 1")],
        ),
        (
            "reach {} strict ({}) from ¼ with both kinds of output, and need the fewest "
            "sequences: medians of {} (linear) and {} (sigmoid) from ¼.",
            [
                *(gate("robust's", LINEAR_QUARTER, column) for column in (STRICTLY, INTERVAL)),
                *(
                    middle(gate("robust's", output, "sequences to strict"))
                    for output in (LINEAR_QUARTER, QUARTER)
                ),
            ],
        ),
        (
            "with the output that starts at ½ {} seeds leaves chance, with the same started at ¼ "
            "{}, of which {} are solved strictly",
            [
                *(gate("1997 cell", output, CHANCE) for output in (HALF, QUARTER)),
                gate("1997 cell", QUARTER, STRICTLY),
            ],
        ),
        (
            "starts at ½ ({} against {}), networks with them",
            [gate(name, HALF, STRICTLY) for name in ("1997 cell", "robust's")],
        ),
    ],
    "results/register/README.md": [
        ("has an R² of {}, where the product", [register("readout_earlier_after_best_cell", 2)]),
        (
            "In {} `robust` networks one cell alone carries the first value, in {} also the "
            "product",
            [one_cell("between_cells"), one_cell("after_cells")],
        ),
        (
            "the trained networks stand at {} from the later mark's step on",
            [register("readout_product_later_register")],
        ),
        (
            "in the best cell comes through it ({} at T = 100, {}). Holding the forget gate at "
            "its mean in this step raises the RMSE from {} to {}; holding what the gates receive "
            "from the cells, to {}; holding what is written, to {}. Holding the output gate "
            "changes nothing: {}.",
            [
                middle(THROUGH_FORGET_GATE),
                around(THROUGH_FORGET_GATE),
                *(
                    register(f"held_{what}")
                    for what in (
                        *("nothing", "forget_gate", "what_gates_are_told"),
                        *("what_is_written", "output_gate"),
                    )
                ),
            ],
        ),
        ("has an MSE of 1/144, an RMSE of {}.", [f"{(1 / 144) ** 0.5:.3f}"]),
        (
            "seed 3 is about as good as that ({}), seed 2 much worse ({}); only seed 0 is better "
            "({}).",
            [catalog_rmse(seed) for seed in ("3", "2", "0")],
        ),
    ],
}


# -- tables ---------------------------------------------------------------------------------------


def _columns(file: str, *head: str) -> Table:
    """Columns of a results' table, as they are; all where none is named."""
    own = [line for line in lines(file) if (head or (None,))[0] in (None, *line)]
    names = head or tuple(own[0])
    return names, [[line[name] for name in names] for line in own]


def _seeds(*columns: str) -> list[list[str]]:
    """Who leaves chance and who is solved strictly, of every recipe at both lengths."""
    return [
        [name, T, *(seeds(name, T, rule, c) for rule in (CHANCE, STRICT) for c in columns)]
        for T in ("30", "100")
        for name in (CATALOG, STARTED, "robust")
    ]


def _gates() -> list[list[str]]:
    """How many of 30 leave chance / are solved strictly, by cell and output."""

    def both(name: str, output: str) -> str:
        shares = (gate(name, output, column) for column in (CHANCE, STRICTLY))
        return " / ".join(share.partition(" of ")[0] for share in shares)

    return [
        [name, gate(name, HALF, RETENTION), *(both(name, output) for output in OUTPUTS)]
        for name in GATES
    ]


TABLES: dict[str, list[Table]] = {
    "docs/explanation/kernel.md": [
        (("µs an iteration", *SIZES), iterations(SIZES)),
        (("", "ns a step of a trial", "theirs / ours"), online()),
        (("what", "target", "measured"), targets()),
    ],
    "docs/explanation/strict.md": [
        _columns("table8/selection.md", "stop", "trials", "window", "fresh")
    ],
    "docs/explanation/stuck-seeds.md": [
        (("recipe", "T", "leaves chance", "strict"), _seeds("seeds")),
        (("cell", RETENTION, *OUTPUTS), _gates()),
    ],
    "docs/paper.md": [
        (
            (
                *("q, p", "as described, 30 trials", "initial weights in ±0.02"),
                *("no recurrent connections", "paper"),
            ),
            very_long_lags(),
        )
    ],
    "docs/tutorials/seeds.md": [
        (("recipe", "T", "leaves chance", RATE, "strict", RATE), _seeds("seeds", RATE))
    ],
    "docs/table8.md": [
        (
            (
                "T",
                "all biases: 30 trials; 5 at T = 1000, none stopped",
                "biases of the gates alone",
                "paper",
            ),
            _without_biases(),
        ),
        _columns("table8/table.md"),
        _columns("table8/mse_column.md"),
        _columns("table8/variants.md"),
        _columns("table8/selection.md"),
    ],
}


# -- numbers that nobody measured here ------------------------------------------------------------

GIVEN = (
    # Settings of a check.
    *("rates 0.003, 0.01 and 0.03", "rate 0.003"),
    # The paper's, and what follows from its counts.
    *("482,000", "1,273,000", "74,000", "209,000", "0.0223", "0.0139", "0.026", "0.013"),
    *("139 of 2560", "14 of 2560", "178 of 2560", "139 of 2000", "140 of 2000", "12 of 2000"),
    *("13 of the 2000", "sections 5.4 and 5.5", "rate 0.1", "U[−0.1, 0.1]"),
    *("within 200,000 sequences",),
    *(
        "43,250",
        "78,430",
        "485,080",
        "269,650",
        "565,640",
        "paper's 11.3",
        "paper 31,390",
        "paper's mean of 571,100",
    ),
    *("29 or 30 of 30", "18 of 18", "rate 0.5", "rate of 1.0", "±0.2", "±0.02", "364 to 6,064"),
    # Tolerances, targets and confidence.
    *(
        "0.04",
        "0.030",
        "0.65 %",
        "7 % and",
        "7 % wrong",
        "(7 %)",
        "16 of 2560",
        "95 %",
        "leaves out 0.5",
    ),
    # Settings of recipes and studies.
    *("1.1 T", "counts as 1.0", "0.25, Adam", "Adam 0.025", "3,000,000", "500,000", "25,600"),
    *(
        "96,000 sequences: a GRU",
        "T = 10,000",
        "T = 100,000",
        "T = 30 to 10,000",
        *("seeds learn sequences of 10,000 steps", "learn 100,000", "budget of 200,000"),
    ),
    *(
        "after 40,000 strings",
        "T = 30,000",
        "4.5 times as late",
        "1.3 to at least 3.4 times",
        "paper 39,850",
        "(paper 853,000)",
        "30 of the 32",
    ),
    *("10,000 further sequences", "after 200,000 sequences", "between 0.1 and 0.9"),
    *("below 0.1 and", "above 0.9", "mean absolute error below 0.01"),
    *("rates 0.001, 0.003, 0.01 and 0.03 with clips 0.1", "32,000 sequences each"),
    *("with 72,000 sequences",),
    *("after 10,000 sequences at T = 100", "after 40,000 sequences, and", "within 300,000"),
    # The output of the notebook, which a test compares.
    *("13 of 2560 wrong there", "2,024 at 120"),
    # On results/cluster/README.md.
    *("at 1,209 a second", "10,000 trials of five seconds", "1.5 ms", "2.4 ms"),
    # What has been calculated in the text around it, or on the page it is linked to.
    *("about 1 % survives 15 steps", "about 1 % over 15 steps"),
    # Versions.
    *("Python 3.11", "PyTorch 2.10"),
)
BY_COMMANDS = (  # pages that are written as they are by the commands on them
    *("docs/reliability.md", "results/movement/README.md", "results/explorer/README.md"),
    *("results/cluster/README.md", "results/paper/README.md"),
)
LOOKS_MEASURED = re.compile(
    r"(?<![\w.,−-])(?:\d+\s+of\s+(?:the\s+)?\d+|\d{1,3}(?:,\d{3})+|\d+\.\d+|\d+\s+%)"
)


def every_page() -> list[str]:
    """README, the documentation, and the findings beside results."""
    found = (*(ROOT / "docs").rglob("*.md"), *(ROOT / "results").rglob("README.md"))
    names = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in found)]
    return [name for name in names if name not in BY_COMMANDS]


def unaccounted(page: str, text: str) -> list[str]:
    """Numbers in a page's text that look measured and stand nowhere here; code is left out."""
    spans = [table_in_page(text, head).span() for head, _ in TABLES.get(page, ())]
    for template, values in SENTENCES.get(page, ()):
        match = in_page(text, template)
        spans += [match.span(k) for k in range(1, len(values) + 1)]
    for start, end in spans:
        text = text[:start] + "_" * (end - start) + text[end:]
    text = re.sub(r"^```.*?^```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.MULTILINE | re.DOTALL)
    for phrase in GIVEN:
        words = r"\s+".join(map(re.escape, phrase.split()))
        text = re.sub(rf"(?<![\d.,]){words}(?![\d%]|[.,]\d)", "", text)
    return [" ".join(found[0].split()) for found in LOOKS_MEASURED.finditer(text)]


# -- pages ----------------------------------------------------------------------------------------


def pages() -> list[str]:
    """The pages with sentences or tables that stand here."""
    return sorted({*SENTENCES, *TABLES})


NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
VALUE = rf"(?<![\d.,])({NUMBER}(?:\s+(?:of|to)\s+{NUMBER})?)"


def in_page(text: str, template: str) -> re.Match[str]:
    """Where a page has a sentence, however its lines are broken; a group a number.

    Raises:
        ValueError: nowhere, or more than once.
    """
    literal = (r"\s+".join(map(re.escape, part.split(" "))) for part in template.split("{}"))
    found = list(re.finditer(VALUE.join(literal), text))
    if len(found) != 1:
        raise ValueError(f"the page has {len(found)} times, not once: {template}")
    return found[0]


def table_in_page(text: str, head: Sequence[str]) -> re.Match[str]:
    """Where a page has the table of this head: its head with the line below, and its lines.

    Raises:
        ValueError: nowhere, or more than once.
    """
    cells = r"\s*\|\s*".join(map(re.escape, head))
    start = rf"^(\|\s*{cells}\s*\|\n\|[|\s:-]+\|\n)"
    found = list(re.finditer(start + r"((?:\|.*\n)*)", text, re.MULTILINE))
    if len(found) != 1:
        raise ValueError(f"the page has {len(found)} times, not once, the table of {head}")
    return found[0]


def written(page: str, text: str) -> str:
    """The text of a page with its numbers as they follow from the results.

    Raises:
        ValueError: a sentence or a table is not in it, or more than once.
    """
    for template, values in SENTENCES.get(page, ()):
        match = in_page(text, template)
        for k, value in reversed(list(enumerate(values, start=1))):
            if match[k].split() != value.split():
                text = text[: match.start(k)] + value + text[match.end(k) :]
    for head, rows in TABLES.get(page, ()):
        match = table_in_page(text, head)
        body = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        text = text[: match.start(2)] + body + text[match.end(2) :]
    return text


def main() -> None:
    for page in pages():
        path = ROOT / page
        before = path.read_text()
        after = written(page, before)
        if after != before:
            path.write_text(after)
            print(f"{page}: updated")


if __name__ == "__main__":
    main()
