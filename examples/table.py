"""`python -m tinygrad_rnn.examples.table`: the figures that full runs left in out/, as the page docs/examples.md.

With --run every example is run first, which takes half an hour; --run NAME ... runs only those.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinygrad_rnn.commands import showcase
from tinygrad_rnn.files import write_atomic

from .harness import shown, told

HEAD = """# Examples

Each is one short script in `examples/`: `tinygrad-rnn examples NAME`, or `python examples/NAME.py`. With `--quick` it
takes a moment, with `--backend cupy` it computes on a GPU. It prints its figures, and leaves diagrams, curves and
samples in `out/NAME/`. The data come with `pip install '.[examples]'`; what is only in an archive is fetched by
`make data`.

`make examples` runs them all and makes this page of what they leave. Times are of one run on two shared
cores. Where a goal is not reached the number stands as it came.

Figures are of a part of the data that was held out. Some were chosen with that part in sight, and are so much the
kinder: speakers and motion have no third part to choose by, the settings of sunspots and reber were tried while its
error was printed, and the epochs of genes and clips were changed after it was seen. In entities the names, places and
firms of the test are new but the patterns of its sentences are not: the network learns this grammar, and does not carry
over to another.

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
        first = (name, about, f"{found['seconds']:.0f}") if not number else ("", "", "")
        cells = [*first[:2], row["what"], f"**{reached}**" if row["met"] else reached,
                 *(shown(row[k]) for k in ("goal", "baseline", "published")), first[2]]
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", nargs="*", metavar="NAME", help="run all examples first, or these")
    parser.add_argument("--results", type=Path, default=Path("out"), help="the folder of their folders (out)")
    parser.add_argument("--page", type=Path, default=Path("docs/examples.md"), help="the file (docs/examples.md)")
    args = parser.parse_args(arguments)
    known = showcase.examples()
    for name in known if args.run == [] else args.run or []:
        showcase.run(name, ["--out", str(args.results / name)])
    write_atomic(args.page, page(args.results).encode())


if __name__ == "__main__":
    told(main)
