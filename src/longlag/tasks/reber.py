"""The embedded Reber grammar: which symbols can come next?

Experiment 1 of Hochreiter & Schmidhuber 1997 (section 5.1, figures 3 and 4). A string is

    B, then T or P (1/2 each), a Reber string, the same T or P, E.

A Reber string goes from node to node, each choice with probability 1/2, and is B, the symbols on
its way, E:

    1: T to 2, P to 3      3: T to 3, V to 5      5: P to 4, V to the end
    2: S to 2, X to 4      4: X to 3, S to the end

At every step but the last of a string, the network sees a symbol and predicts the next one: seven
inputs, seven outputs, of which that of the next symbol has the target 1 and the others 0. Two
symbols can often come next; an answer is right where, at every step, the outputs of all symbols
that can come next are more active than all others. Which they are is the batch's `truth`.

Strings have no largest length. Here they have min_symbols to max_symbols symbols, and are drawn
from exactly the grammar's distribution among strings of such lengths: with the defaults all but
one string in nine million are. Larger numbers of symbols give longer lags.

The paper has 256 strings to train with, one at random for each update, and 256 others to test.
`strings="training"` and `"test"` are such a pair of fixed sets, which `string_set` determines: 512
different strings are drawn, one after another, and alternately put in the one and the other.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np

from longlag import checks
from longlag.settings import setting
from longlag.tasks.task import Answered, Batch, Drawing, OwnLengths, Role, most_active, one_hot

SYMBOLS = "BTSXPVE"
SHORTEST = 9  # symbols, as in BTBTXSETE
SET_SIZE = 256
Strings = Literal["fresh", "training", "test"]

REBER: dict[str, dict[str, str]] = {
    "": {"B": "1"},
    "1": {"T": "2", "P": "3"},
    "2": {"S": "2", "X": "4"},
    "3": {"T": "3", "V": "5"},
    "4": {"X": "3", "S": "6"},
    "5": {"P": "4", "V": "6"},
    "6": {"E": "7"},
}


def _embedded() -> dict[str, dict[str, str]]:
    """The whole grammar: for each node the symbols that can come, and where they lead."""
    nodes = {"": {"B": "begun"}, "begun": {"T": "T", "P": "P"}}
    for outer in "TP":
        inner = {
            outer + node: {symbol: outer + to for symbol, to in ways.items()}
            for node, ways in REBER.items()
        }
        nodes |= inner | {outer + "7": {outer: "over"}}
    return nodes | {"over": {"E": "end"}, "end": {}}


NODES = _embedded()
NAMES = list(NODES)
N, K = len(NODES), len(SYMBOLS)
NEXT = np.full((N, K), -1)  # the node to which a symbol leads from a node; -1: it cannot come
for _name, _ways in NODES.items():
    for _symbol, _to in _ways.items():
        NEXT[NAMES.index(_name), SYMBOLS.index(_symbol)] = NAMES.index(_to)
POSSIBLE = NEXT >= 0
END = NAMES.index("end")
SHARES = POSSIBLE / np.maximum(1, POSSIBLE.sum(axis=1, keepdims=True))  # (N, 7)


class Sequence(NamedTuple):
    """One string without its last symbol: inputs (L,), the next symbols (L, 7), and all that
    could have come, truth (L, 7) bool."""

    inputs: np.ndarray
    target: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class EmbeddedReber(OwnLengths):
    """The task and its rules; see the module's docstring.

    Args:
        min_symbols, max_symbols: symbols in a string, 9 at least.
        strings: `fresh` ones, or one of two fixed sets of 256, `training` or `test`; what learns
            from the one is tested on the other.
        string_set: determines the two sets.

    Raises:
        ValueError: a setting out of range, or too few strings of such lengths for two sets.
    """

    inputs: ClassVar[int] = K
    outputs: ClassVar[int] = K
    symbols: ClassVar[bool] = True
    answered: ClassVar[Answered] = "every"
    telling_step: ClassVar[int] = 1  # T or P again, before E
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, Experiment 1"

    min_symbols: int = setting(SHORTEST, "symbols of the shortest string", SHORTEST, 10_000)
    max_symbols: int = setting(60, "symbols of the longest string", SHORTEST, 10_000)
    strings: Strings = setting("fresh", "fresh strings, or the fixed training or test set of 256")
    string_set: int = setting(0, "number of the fixed pair of training and test set", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_symbols < self.min_symbols:
            raise ValueError(
                f"max_symbols must be at least min_symbols ({self.min_symbols}), "
                f"not {self.max_symbols}"
            )
        if self.strings != "fresh" and not _enough(self.min_symbols, self.max_symbols):
            raise ValueError(
                f"two sets of {SET_SIZE} strings need more different strings than "
                f"{self.min_symbols} to {self.max_symbols} symbols give"
            )

    @property
    def name(self) -> str:
        return "reber"

    @property
    def steps(self) -> tuple[int, int]:
        return self.min_symbols - 1, self.max_symbols - 1

    @property
    def shortest(self) -> int:
        return SHORTEST - 1

    def at_length(self, length: int) -> Self:
        checks.whole("length", length, self.shortest)
        return replace(self, strings="fresh", min_symbols=length + 1, max_symbols=length + 1)

    @property
    def tested(self) -> EmbeddedReber:
        """The strings of the test set, where the training has a fixed one."""
        return replace(self, strings="test") if self.strings == "training" else self

    @property
    def fixed_sets(self) -> tuple[Batch, ...]:
        """The whole training set and the whole test set, where strings are of one of them."""
        return () if self.strings == "fresh" else self._both_sets

    @functools.cached_property
    def _both_sets(self) -> tuple[Batch, ...]:
        kinds: tuple[Strings, ...] = ("training", "test")
        return tuple(replace(self, strings=kind)._whole_set for kind in kinds)

    @property
    def minimal_lag(self) -> int:
        """Least number of steps from the second symbol to where it is asked for again."""
        return self.min_symbols - 3

    # -- what is known in closed form ---------------------------------------------------------

    @property
    def mean_length(self) -> float:
        return float(self._visits.sum())

    @property
    def mean_target(self) -> np.ndarray:
        """How often each symbol comes, of all that are asked for."""
        return self._visits / self._visits.sum()

    @property
    def chance_mse(self) -> float:
        """Mean over the outputs of p (1 - p), p being the share of a symbol."""
        p = self.mean_target
        return float(np.mean(p * (1 - p)))

    @property
    def chance_correct(self) -> float:
        """None: after B come T and P alone, and later others."""
        return 0.0

    @functools.cached_property
    def _visits(self) -> np.ndarray:
        """Mean number of times that each symbol is asked for in a string, (7,)."""
        if self.strings != "fresh":
            return np.sum([one.target.sum(axis=0) for one in self._set], axis=0) / SET_SIZE
        at, found = np.eye(N)[0], np.zeros(K)
        for step, shares in enumerate(self._shares):
            here = at[:, None] * shares
            at = np.zeros(N)
            np.add.at(at, NEXT[POSSIBLE], here[POSSIBLE])
            found += here.sum(axis=0) * (step > 0)  # the first symbol is not asked for
        return found

    @functools.cached_property
    def _shares(self) -> np.ndarray:
        """How probable each symbol is at each step, from each node, (max_symbols, N, 7).

        Given that the string will have such a length, by Bayes' rule: SHARES, times the
        probability of ending in time from where the symbol leads.
        """
        steps = self.max_symbols
        in_time = np.zeros((steps + 1, N))
        in_time[self.min_symbols :, END] = 1
        joint = np.zeros((steps, N, K))
        for step in reversed(range(steps)):
            joint[step] = SHARES * in_time[step + 1][NEXT]
            in_time[step] += joint[step].sum(axis=1)
            if step < self.min_symbols:  # ratios alone matter here: a power of 2 keeps their bits
                in_time[step] = np.ldexp(in_time[step], -np.frexp(in_time[step].max())[1])
        total = joint.sum(axis=2, keepdims=True)
        return np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)

    @functools.cached_property
    def _limits(self) -> np.ndarray:
        """Between which uniform numbers each symbol lies: sums of `_shares`, the last exactly 1."""
        sums = np.cumsum(self._shares, axis=2)
        return np.divide(sums, sums[..., -1:], out=np.ones_like(sums), where=sums[..., -1:] > 0)

    # -- strings ------------------------------------------------------------------------------

    def spelled(self, string: str) -> Sequence:
        """The sequence of a string such as 'BTBTXSETE'.

        Raises:
            ValueError: an unknown symbol, or a string that the grammar does not have.
        """
        node, possible = 0, []
        for position, symbol in enumerate(string):
            if symbol not in SYMBOLS:
                raise ValueError(f"symbols must be of {SYMBOLS}, not {symbol!r}")
            if symbol not in NODES[NAMES[node]]:
                known = " or ".join(NODES[NAMES[node]]) or "nothing"
                raise ValueError(
                    f"after {string[:position]!r} the grammar has {known}, not {symbol!r}"
                )
            possible.append(POSSIBLE[node])
            node = NEXT[node, SYMBOLS.index(symbol)]
        if node != END:
            raise ValueError(f"a string must go on to the grammar's end, not stop after {string!r}")
        symbols = np.array([SYMBOLS.index(symbol) for symbol in string])
        return Sequence(symbols[:-1], one_hot(symbols[1:], K), np.array(possible[1:]))

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one string, symbol by symbol.

        One uniform number a symbol, for each of which the ways are in the order of `SYMBOLS`; of
        a fixed set one number says which string.

        Raises:
            ValueError: a length that strings cannot have.
        """
        checks.generator("rng", rng)
        self._check_length(length)
        if length is not None and self.strings == "fresh":
            return self.at_length(length).sequence(rng)
        if self.strings != "fresh":
            known = [one for one in self._set if length in (None, len(one.inputs))]
            if not known:
                raise ValueError(f"no string of the {self.strings} set has {length} steps")
            return known[int(rng.integers(len(known)))]
        string, node, step = "", 0, 0
        while node != END:
            symbol = int(np.searchsorted(self._limits[step, node], rng.random(), side="right"))
            string, node, step = string + SYMBOLS[symbol], NEXT[node, symbol], step + 1
        return self.spelled(string)

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n strings in a few vectorised calls.

        Random numbers are used in this order: n for each of max_symbols symbols; of a fixed set n
        numbers that say which strings.

        Returns:
            Batch with T = max_symbols - 1: symbols (n, T), lengths (n,), targets (n, T, 7), truth
            (n, T, 7) bool, both 0 after the end.
        """
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        if self.strings != "fresh":
            which = rng.integers(SET_SIZE, size=n)
            return self._whole_set.each(lambda a: a[which])
        steps = self.max_symbols
        string, possible = np.zeros((n, steps), np.int64), np.zeros((n, steps, K), bool)
        node, lengths = np.zeros(n, np.int64), np.zeros(n, np.int64)
        for step in range(steps):
            alive, drawn = node != END, rng.random(n)
            symbol = np.sum(self._limits[step, node] <= drawn[:, None], axis=1) * alive
            string[:, step], possible[:, step] = symbol, POSSIBLE[node]
            node = np.where(alive, NEXT[node, symbol], END)
            lengths += alive
        lengths -= 1
        live = np.arange(steps - 1) < lengths[:, None]
        targets = one_hot(string[:, 1:], K) * live[..., None]
        return Batch(string[:, :-1] * live, lengths, targets, possible[:, 1:])

    @functools.cached_property
    def _set(self) -> list[Sequence]:
        return [self.spelled(string) for string in self.fixed_set()]

    def fixed_set(self) -> list[str]:
        """The strings of the fixed set, `training` or `test`; 256 different ones.

        Raises:
            ValueError: the task's strings are fresh.
        """
        if self.strings == "fresh":
            raise ValueError("strings must be training or test to be of a fixed set, not fresh")
        pair = _pair(self.min_symbols, self.max_symbols, self.string_set)
        return list(pair[self.strings == "test"])

    @functools.cached_property
    def _whole_set(self) -> Batch:
        """The fixed set as a batch."""
        steps = self.max_symbols - 1
        made = self.batch(self._set)

        def padded(a: np.ndarray) -> np.ndarray:
            return np.pad(a, [(0, 0), (0, steps - a.shape[1]), *[(0, 0)] * (a.ndim - 2)])

        made = made.each(lambda a: padded(a) if a.ndim > 1 else a)
        return Batch(made.inputs, made.lengths, made.targets.astype(np.float32), made.truth)

    # -- answers, words, pictures -------------------------------------------------------------

    def correct(self, answers: np.ndarray, batch: Batch) -> np.ndarray:
        """Whether the symbols that can come next are the most active outputs, at every step."""
        assert batch.truth is not None
        right = most_active(answers, batch.truth)
        return np.all(right | ~self.judged(batch), axis=1)

    @property
    def wrong_means(self) -> str:
        return "an impossible symbol most active"

    @property
    def what(self) -> str:
        return "next symbol"

    @property
    def asks(self) -> str:
        return "the symbols that can come next"

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(SYMBOLS)

    def explain(self, sequence: Sequence) -> str:
        """'BTBTXSETE: T is second, and so last but one'."""
        string = self.string(sequence)
        return f"{string}: {string[1]} is second, and so last but one"

    def string(self, sequence: Sequence) -> str:
        """The string of a sequence, its last symbol included."""
        return "".join(SYMBOLS[s] for s in [*sequence.inputs, int(np.argmax(sequence.target[-1]))])

    def drawing(self, sequence: Sequence) -> Drawing:
        """Symbols as bars of seven heights, each with its letter."""
        last = len(sequence.inputs) - 1
        legend: dict[Role, str] = {
            "plain": "symbol",
            "mark": "T or P, which comes again",
            "end": "before it comes again",
        }
        letters = {p: SYMBOLS[s] for p, s in enumerate(sequence.inputs)}
        values = (sequence.inputs + 1) / K
        roles: dict[Role, list[int]] = {"mark": [1, last], "end": [last - 1]}
        return Drawing(values, roles, letters, 0, 1, legend, "symbols of a string")


def _enough(low: int, high: int) -> bool:
    """Whether low to high symbols give different strings for two whole sets."""
    found, ways = 0, [0] * END + [1]  # strings of `length` more symbols, from each node
    for length in range(1, high + 1):
        ways = [sum(ways[to] for to in row[row >= 0]) for row in NEXT]
        found += ways[0] if length >= low else 0
        if found >= 2 * SET_SIZE:
            return True
    return False


@functools.lru_cache(maxsize=8)
def _pair(low: int, high: int, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The training and the test set: 512 different strings, drawn one after another."""
    task = EmbeddedReber(min_symbols=low, max_symbols=high)
    rng, found = np.random.default_rng(seed), {}
    while len(found) < 2 * SET_SIZE:
        found[task.string(task.sequence(rng))] = None
    strings = tuple(found)
    return strings[::2], strings[1::2]
