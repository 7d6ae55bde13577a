#!/usr/bin/env python3
"""Train an LSTM on the multiplication problem and animate the training as a GIF.

python3 make_multiplication_problem_gif.py --seed 0 --max-iters 4000 --n-frames 30
"""

from __future__ import annotations

import sys
from pathlib import Path

from multiplication_problem import chosen, parser, trained

from longlag import figures
from longlag.cli.exit import exit_status
from longlag.cli.outputs import output

SNAPSHOT_EVERY = 10  # iterations: fine enough to choose frames from


def main() -> int:
    about = "Train an LSTM on the multiplication problem and animate the training."
    flags = parser("make_multiplication_problem_gif.py", about, max_iters=4000)
    flags.value("--n-frames", int, "frames", 30)
    flags.value("--T", int, "steps of the sequence shown")
    flags.value("--fps", int, "frames a second", 8)
    flags.value("--out", Path, "the file", Path("multiplication_problem.gif"))
    args = flags.read(sys.argv[1:])
    recipe = chosen(args, max_iters=4000)
    figures.check_animation(recipe, args.n_frames, args.fps, args.T)
    output(args.out)
    run = trained(args, recipe, args.out.parent, SNAPSHOT_EVERY)
    print(
        figures.write_animation(run, args.out, n_frames=args.n_frames, fps=args.fps, length=args.T)
    )
    return 0


if __name__ == "__main__":
    sys.exit(exit_status("make_multiplication_problem_gif.py", main))
