"""Measures how quickly the explorer's page answers, and takes the README's pictures of it.

    .venv/bin/python results/explorer/measure.py

Needs the `test` extra and Chromium. Writes README.md beside itself, explorer.png and
explorer_two.png into viz/.
"""

from __future__ import annotations

import datetime
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from longlag.files import write_bytes
from longlag.words import table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VIZ = ROOT / "viz"
SOLVED = ROOT / "docs" / "explorer" / "solved"
WIDTH = 1280  # pixels
LEAKY = [
    *("--gate-biases", "constant", "--forget-bias", 1, "--input-bias", 0),
    *("--max-iterations", 3000),
]
SETTLED = """app.pending.size === 0 && app.runs.every((run) =>
  run.effects && run.lengths?.done && run.lengths.id === run.waiting.lengths &&
  run.surface?.done && run.surface.id === run.waiting.surface &&
  run.scattered?.done && run.scattered.id === run.waiting.scatter)"""

# A drag of the first marked value: traces computed, all that changes with them drawn, layout done.
DRAG = """async () => {
  const times = [];
  for (let k = 0; k < 300; k++) {
    app.setValue(app.sequence.marks[0], (k % 50) / 50);
    const start = performance.now();
    app.frame();
    document.body.offsetHeight;
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  return times;
}"""

# A step in time: from the change to the workers' last word on the scatter and on the surface.
MOMENT = """async () => {
  const times = [];
  const settled = () => SETTLED;
  for (let k = 0; k < 60; k++) {
    while (!settled()) await new Promise((resolve) => setTimeout(resolve, 2));
    const start = performance.now();
    app.timeline.go(app.timeline.moments.length - 1 - (k % 2));
    app.frame();
    while (!settled()) await new Promise((resolve) => setTimeout(resolve, 1));
    times.push(performance.now() - start);
  }
  return times;
}""".replace("SETTLED", SETTLED)


def longlag(*args: object) -> None:
    words = [sys.executable, "-m", "longlag.cli", *map(str, args)]
    subprocess.run(words, check=True, capture_output=True)


def opened(browser: Browser, file: Path, **settings: Any) -> Page:
    page = browser.new_page(**settings)
    page.goto(file.as_uri())
    while not page.evaluate(SETTLED):
        page.wait_for_timeout(50)
    return page


def picture(page: Page, out: Path, last: str) -> None:
    """The page down to its last card of a class."""
    page.wait_for_timeout(300)
    bottom = page.evaluate(
        f"Math.max(...[...document.querySelectorAll('.{last}')]"
        ".map((card) => card.getBoundingClientRect().bottom + scrollY))"
    )
    clip: Any = {"x": 0, "y": 0, "width": WIDTH, "height": bottom + 16}
    shot = page.screenshot(clip=clip, full_page=True)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").save(buffer, "PNG", optimize=True)
    write_bytes(out, buffer.getvalue())


def rows(page: Page) -> list[tuple[str, ...]]:
    found = [("ms", "median", "95 %", "fastest")]
    for what, script in (
        ("a value dragged: traces computed and drawn", DRAG),
        ("a step in time: scatter of 512 and surface of 21 × 21, computed and drawn", MOMENT),
    ):
        times = np.array(page.evaluate(script))
        shown = (np.median(times), np.quantile(times, 0.95), times.min())
        found.append((what, *(f"{t:.1f}" for t in shown)))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        os.chdir(folder)
        shutil.copytree(SOLVED, "robust")
        longlag("train", *LEAKY, "--save-dir", "leaky")
        longlag("explore", "robust")
        longlag("explore", "leaky", "robust", "--out", "two.html")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        looks: Any = {"viewport": {"width": WIDTH, "height": 900}}
        one, two = folder / "robust" / "explorer.html", folder / "two.html"
        page = opened(browser, one, **looks)
        measured = rows(page)
        page.close()
        picture(opened(browser, one, **looks), VIZ / "explorer.png", "network")
        looks |= {"color_scheme": "dark"}
        picture(opened(browser, two, **looks), VIZ / "explorer_two.png", "over-time")
        cores, load = os.cpu_count(), os.getloadavg()[0]
        lines = [
            "# How quickly the explorer answers",
            "",
            "`python results/explorer/measure.py`: recipe robust, seed 0, T = 100, 8 cells, in",
            f"Chromium {browser.version}, with no display or graphics card, on {cores} cores of a",
            f"shared machine ({platform.machine()}; load {load:.1f}), {datetime.date.today()}.",
            f"The page has {one.stat().st_size:,} bytes, that of two runs {two.stat().st_size:,}.",
            "",
            "```",
            table(measured),
            "```",
            "",
        ]
        browser.close()
    write_bytes(HERE / "README.md", "\n".join(lines).encode())


if __name__ == "__main__":
    main()
