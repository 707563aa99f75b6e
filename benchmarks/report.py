"""RESULTS.md and results.json."""

from __future__ import annotations

import json
import os
from pathlib import Path

from .tables import Results, summary, tables

KEPT = "## Where a bar is missed"
HOW = """One step is the forward pass and the gradients of all weights, not of the input, in float32; the loss is
`sum(h[t] * r[t])` with r random. Each side runs in a process of its own and only one is active at a time; the rivals of
a row take turns, and a time is the median over rounds of the median call within a round. Outputs and gradients were
compared before anything was timed. T, N, inputs and hidden units stand in brackets behind a size."""


def text(results: Results, kept: str) -> str:
    """The report, with the section that people write."""
    facts = [f"- {name}: {value}" for name, value in results["machine"].items()]
    command = f"Made by `{results['command']}`, {results['rounds']} rounds, on:"
    return "\n\n".join(["# Benchmarks", HOW, command, "\n".join(facts), summary(results),
                        "![Ratios and bars](../docs/benchmarks.png)", *(t.markdown() for t in tables(results)), kept])


def kept_section(path: Path) -> str:
    """What an older report says under the heading that people write, or that nothing is said yet."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    _, heading, section = old.partition(KEPT)
    return heading + section if heading else f"{KEPT}\n\nNothing is written here yet.\n"


def write(results: Results, folder: Path) -> None:
    """Write both files, each beside and renamed."""
    path = folder / "RESULTS.md"
    replace(path, text(results, kept_section(path)))
    replace(folder / "results.json", json.dumps(results, indent=1) + "\n")


def replace(path: Path, content: str) -> None:
    """A file is there whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(content, encoding="utf-8")
    os.replace(beside, path)
