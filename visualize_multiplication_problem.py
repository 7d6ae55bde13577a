#!/usr/bin/env python3
"""Train an LSTM on the multiplication problem and draw what it learned, as four PNGs.

python3 visualize_multiplication_problem.py --seed 0 --max-iters 6000
"""

from __future__ import annotations

import sys
from pathlib import Path

from multiplication_problem import chosen, parser, trained

from longlag import figures
from longlag.cli.exit import exit_status
from longlag.terminal import one_line


def main() -> int:
    about = "Train an LSTM on the multiplication problem and draw what it learned, as four PNGs."
    flags = parser("visualize_multiplication_problem.py", about)
    flags.value("--out", Path, "folder", Path("viz"))
    args = flags.read(sys.argv[1:])
    recipe = chosen(args, max_iters=6000)
    for path in figures.write_figures(trained(args, recipe, args.out), args.out):
        print(one_line(path))
    return 0


if __name__ == "__main__":
    sys.exit(exit_status("visualize_multiplication_problem.py", main))
