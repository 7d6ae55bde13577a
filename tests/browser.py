"""Pages in a real browser: Debian's Chromium, through Playwright."""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SECONDS = 60  # that a page may take for anything, on a busy machine


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; where there is none the tests that need it are skipped."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=args)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, file: Path, fragment: str = "", **settings: Any) -> Iterator[Any]:
    """A page from disk. It must ask for nothing but itself and complain of nothing."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | settings)
    wrong: list[str] = []
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    address = file.resolve().as_uri()

    def asked(request: Any) -> None:
        if request.url.partition("#")[0] != address and not request.url.startswith(
            ("blob:", "data:")
        ):
            wrong.append(f"asked for {request.url}")

    context.on("request", asked)
    page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{address}#{fragment}" if fragment else address)
    settled(page)
    yield page
    settled(page)
    assert not wrong
    context.close()


def until(page: Any, condition: str) -> None:
    """Waits until a JavaScript expression is true."""
    end = time.monotonic() + SECONDS
    while not page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < end, f"never came true: {condition}"
        page.wait_for_timeout(20)


def settled(page: Any) -> None:
    """Waits until all that was asked for is drawn."""
    until(
        page,
        "app.pending.size === 0 && app.runs.every((run) => run.effects &&"
        " ['scatter', 'surface', 'lengths'].every((kind) => {"
        " const result = kind === 'scatter' ? run.scattered : run[kind];"
        " return result && result.done && result.id === run.waiting[kind]; }))",
    )


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong with the page as it stands, for those who use it otherwise."""
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    found = axe.run(page)["violations"]
    return [f"{v['id']}: {node['html']}" for v in found for node in v["nodes"]]


def numbers(page: Any, expression: str) -> np.ndarray:
    """The float64 numbers that an expression gives as typed arrays, one after another."""
    script = (
        f"(() => {{ const bytes = new Uint8Array(Float64Array.from([{expression}].flatMap("
        "(a) => [...a])).buffer); let text = '';"
        " for (let k = 0; k < bytes.length; k += 8192)"
        " text += String.fromCharCode(...bytes.subarray(k, k + 8192)); return btoa(text); })()"
    )
    return np.frombuffer(base64.b64decode(page.evaluate(script)), dtype="<f8")
