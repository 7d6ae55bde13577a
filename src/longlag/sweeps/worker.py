"""A worker process of a local sweep: `python -m longlag.sweeps.worker`.

Reads a trial a line on standard input, writes its row a line on standard output, both JSON. Ends
when its input ends, at once and in the midst of a trial, so that no worker outlives a coordinator
that was killed.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading

from longlag.sweeps.trial import perform


def main() -> None:
    """Carries out trials until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a trial prints must not mix with rows
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(waiting,), daemon=True).start()
    while True:
        row = perform(json.loads(waiting.get()))
        out.write(json.dumps(row) + "\n")
        out.flush()


def _listen(waiting: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        waiting.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
