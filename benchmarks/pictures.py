"""`python -m benchmarks.pictures [REPORT.md]`: how long pictures take, two LSTM layers drawn to the gates.

Needs only the package; the first paint of an interactive page is measured where Chromium and Selenium are installed.
"""

from __future__ import annotations

import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tinygrad_rnn as tr

SIZES = {"inputs": 8, "hidden": 16, "outputs": 8}
ROUNDS = 5
BARS = {"SVG, 200 steps": 0.3, "SVG, 1000 steps": 1.5, "first paint, page of 200 steps": 1.0}  # seconds
FIRST_PAINT = "return (performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime"


def two_layers() -> tr.Model:
    """The model that is drawn."""
    return tr.graphs.lstm(layers=2, **SIZES)


def seconds(work: Callable[[], object]) -> float:
    """The median time of a call, the first one left out."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def drawing(folder: Path) -> dict[str, float]:
    """Seconds from the model to a file."""
    model = two_layers()

    def draw(steps: int) -> Callable[[], object]:
        return lambda: model.draw(folder / "picture.svg", view="unrolled", detail="gates", steps=steps, elide=False)

    return {f"SVG, {steps} steps": seconds(draw(steps)) for steps in (200, 1000)}


def page(folder: Path) -> Path:
    """An interactive page of 200 steps with the values of a run."""
    model, rng = two_layers(), np.random.default_rng(0)
    trace = model.trace(**{name: rng.standard_normal((1, 200, 8)) for name in ("x", "target")})
    path = folder / "page.html"
    model.draw(path, view="unrolled", detail="gates", elide=False, values=trace)
    return path


def first_paint(path: Path) -> float | None:
    """Median seconds from opening the page to its first paint; None without a browser."""
    try:
        from selenium import webdriver
    except ImportError:
        return None
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if chromium is None or driver is None:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        return statistics.median(paint_of(browser, path) for _ in range(ROUNDS))
    finally:
        browser.quit()


def paint_of(browser: object, path: Path) -> float:
    """Seconds to the first paint of one visit."""
    browser.get(path.as_uri())  # type: ignore[attr-defined]
    while not (paint := browser.execute_script(FIRST_PAINT)):  # type: ignore[attr-defined]
        browser.get_screenshot_as_png()  # type: ignore[attr-defined]  # without anyone looking, nothing is painted
        time.sleep(0.02)
    return paint / 1000


def report(measured: dict[str, float], size: int) -> str:
    """The table as Markdown."""
    lines = ["# Pictures", "", f"{__doc__.splitlines()[0]} Medians of {ROUNDS}; Python {platform.python_version()}, "
             f"NumPy {np.__version__}, {platform.system()} {platform.machine()}.", "",
             "| what | seconds | bar |", "|---|---|---|"]
    lines += [f"| {what} | {value:.2f} | {BARS[what]:g} |" for what, value in measured.items()]
    lines += ["", f"The interactive page of 200 steps, with values and gradients, has {size / 1e3:,.0f} kB.", ""]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure, print, and write the report where a path is given."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = drawing(folder)
        path = page(folder)
        paint = first_paint(path)
        if paint is not None:
            measured["first paint, page of 200 steps"] = paint
        text = report(measured, path.stat().st_size)
    print(text)
    for file in arguments[:1]:
        Path(file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
