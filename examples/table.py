"""`python -m tinygrad_rnn.examples.table [RESULTS] [PAGE]`: the figures that full runs left, as a page of Markdown.

RESULTS is the folder in which the examples' folders stand (out), PAGE the file (docs/examples.md).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinygrad_rnn import showcase
from tinygrad_rnn.files import write_atomic

from .harness import shown

HEAD = """# Examples

Each is one short script in `examples/`: `tinygrad-rnn examples NAME`, or `python examples/NAME.py`. With `--quick` it takes
a moment. It prints its figures, and leaves diagrams, curves and samples in `out/NAME/`. The data come with
`pip install '.[examples]'`; what is only in an archive is fetched by `make data`.

This page is made from what full runs left, by `python -m tinygrad_rnn.examples.table`. Times are of one run on two shared
cores. Where a goal is not reached the number stands as it came.

| example | what it is | figure | reached | goal | baseline | published | seconds |
|---|---|---|---|---|---|---|---|
"""


def rows(name: str, about: str, found: dict[str, Any] | None) -> list[str]:
    """The rows of an example: one for each figure, the first with its name."""
    if found is None:
        return [f"| {name} | {about} | not run yet | | | | | |"]
    lines = []
    for number, row in enumerate(found["figures"]):
        reached = shown(row["reached"])
        cells = [name if not number else "", about if not number else "", row["what"],
                 f"**{reached}**" if row["met"] else reached, *(shown(row[k]) for k in ("goal", "baseline", "published")),
                 f"{found['seconds']:.0f}" if not number else ""]
        lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return lines


def page(results: Path) -> str:
    """The page from the full runs in a folder."""
    lines = []
    for name, one in showcase.examples().items():
        file = results / name / "figure.json"
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        lines += rows(name, f"{one.summary} ({one.architecture}; {one.data})",
                      None if found is None or found["quick"] else found)
    return HEAD + "\n".join(lines) + "\n\nA figure in bold meets its goal.\n"


def main(arguments: Sequence[str]) -> None:
    """Write the page."""
    results, target = (Path(given) for given in (*arguments, *("out", "docs/examples.md")[len(arguments):]))
    write_atomic(target, page(results).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
