#!/usr/bin/env python3
"""Train an LSTM on the multiplication problem and animate the training as a GIF.

python3 make_multiplication_problem_gif.py --seed 0 --max-iters 4000 --n-frames 30
"""

from __future__ import annotations

import sys
from pathlib import Path

from multiplication_problem import chosen, parser, trained

from longlag import figures
from longlag import words as report

SNAPSHOT_EVERY = 10  # iterations: fine enough to choose frames from


def main() -> int:
    flags = parser("Animate the training.", max_iters=4000)
    flags.add_argument("--n-frames", type=int, default=30)
    flags.add_argument("--T", type=int, help="steps of the sequence shown")
    flags.add_argument("--fps", type=int, default=8)
    flags.add_argument("--out", type=Path, default=Path("multiplication_problem.gif"))
    args = flags.parse_args()
    recipe = chosen(args, max_iters=4000)
    figures.check_animation(recipe, args.n_frames, args.fps, args.T)
    run = trained(args, recipe, args.out.parent, SNAPSHOT_EVERY)
    print(
        figures.write_animation(run, args.out, n_frames=args.n_frames, fps=args.fps, length=args.T)
    )
    return 0


if __name__ == "__main__":
    sys.exit(report.exit_status("make_multiplication_problem_gif.py", main))
