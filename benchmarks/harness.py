"""What the contestants share: the data, and the conversation with the driver.

The driver (`longlag.bench`) writes one JSON object a line to standard input and reads one answer a
line: `{"do": "prepare", "case": {...}}` builds a case, `{"do": "run", "iterations": n}` trains on
and answers with seconds; the end of the input ends the process. What libraries print goes to
standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from typing import Any, TextIO

import numpy as np

from longlag.bench import Case, OnlineCase
from longlag.tasks.marked_pairs import Batch

Train = Callable[[int], None]
"""Trains for so many iterations, and returns when they are done."""
Prepare = Callable[[Any, int, str], Train]
"""From a case, a number of threads and a variant."""
Handler = Callable[[Mapping[str, Any]], dict[str, Any]]


def draw(case: Case, rng: np.random.Generator) -> Batch:
    """A block of training data: inputs (N, B, T, 2), lengths and targets (N, B)."""
    n = case.block
    flat = case.recipe.task.sample(n * case.batch, rng)
    return Batch(*(array.reshape(n, case.batch, *array.shape[1:]) for array in flat))


def batches(case: Case, seed: int = 0) -> Iterator[Batch]:
    """Batches drawn beforehand, in turn for ever: inputs (B, T, 2), lengths and targets (B,)."""
    block = draw(case, case.recipe.streams(seed).training)
    return cycle([Batch(*arrays) for arrays in zip(*block, strict=True)])


def sequences(case: OnlineCase, seed: int = 0) -> Iterator[tuple[np.ndarray, np.float32]]:
    """Sequences drawn beforehand, in turn for ever: inputs (L, 2) and target, float32."""
    drawn = zip(*case.recipe.training_data(seed, 0), strict=True)
    return cycle([(inputs[:length].copy(), target) for inputs, length, target in drawn])


class Server:
    """Answers the driver: one case at a time, of the kind that the contestant is made for."""

    def __init__(
        self,
        prepare: Prepare,
        threads: int,
        variant: str,
        kind: type[Case] | type[OnlineCase] = Case,
    ) -> None:
        self._prepare, self._threads, self._variant = prepare, threads, variant
        self._kind = kind
        self._train: Train | None = None

    def prepare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Builds a case and trains once, so that what is compiled is compiled."""
        self._train = None  # the old one's memory, before the new one's
        train = self._prepare(self._kind(**request["case"]), self._threads, self._variant)
        train(1)
        self._train = train
        return {}

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Trains on; seconds by the clock, and of all the process's processors together."""
        if self._train is None:
            raise RuntimeError("no case is prepared")
        processor, start = time.process_time(), time.perf_counter()
        self._train(request["iterations"])
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "processor_seconds": time.process_time() - processor}


def serve(
    prepare: Prepare, kind: type[Case] | type[OnlineCase] = Case, **handlers: Handler
) -> None:
    """Runs a contestant as a program until the driver has no more requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--variant", default="")
    given = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server(prepare, given.threads, given.variant, kind)
    converse({"prepare": server.prepare, "run": server.run, **handlers}, sys.stdin, answers)


def converse(handlers: Mapping[str, Handler], requests: TextIO, answers: TextIO) -> None:
    """Answers every request; what goes wrong is an answer too, in one line."""
    for line in requests:
        request = json.loads(line)
        try:
            answer = handlers[request["do"]](request)
        except Exception as error:  # whatever a peer raises is its result
            lines = str(error).strip().splitlines()
            answer = {"error": f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)
