"""DOT and Mermaid text and the structure of SVG, compared whole with files that were looked at.

`python tests/test_golden.py` writes them anew, to be looked at again.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import viz
from tinygrad_rnn.viz.api import TEXTS, make_view

FOLDER = Path(__file__).parent / "golden"
MODELS = {
    "elman": ("""
        h[t] = tanh(U @ h[t-1] + W @ x[t] + b)
        y[t] = softmax(V @ h[t])
        loss = mean(cross_entropy(y[t], target[t]))""", {"x": 3, "h": 4, "y": 2}),
    "own": ("""
        f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
        c[t] = f[t] * c[t-1] + (1 - f[t]) * tanh(W_c @ x[t] + b_c)
        h[t] = tanh(c[t]) + x[t-2]
        loss = mean(squared_error(h[T], goal[n]))""", {"x": 4, "h": 4, "c": 4}),
}
VIEWS = ("folded", "unrolled", "backward")


def structure(svg: str) -> str:
    """An SVG's elements, one a line: what it is, its title or text, its place rounded to a point."""
    def lines(element: ET.Element, depth: int) -> Iterator[str]:
        tag = element.tag.partition("}")[2]
        place = [f"{round(float(element.get(k, '0')))}" for k in ("x", "y", "cx", "cy", "width", "height", "r")
                 if element.get(k)]
        text = "".join(element.itertext()) if tag in ("title", "desc", "text") else ""
        yield "  " * depth + " ".join([tag, *place, *([repr(text)] if text else [])])
        for child in element if tag != "text" else ():
            yield from lines(child, depth + 1)

    return "\n".join(lines(ET.fromstring(svg), 0)) + "\n"


def texts() -> Iterator[tuple[str, str]]:
    """(the file's name, its text) of everything that is compared."""
    for name, (equations, sizes) in MODELS.items():
        model = tr.equations(equations, name=name, **sizes)
        for view in VIEWS:
            for ending, write in TEXTS.items():
                yield f"{name}_{view}{ending}", write(make_view(model, view, 3))
            yield f"{name}_{view}.txt", structure(viz.svg(model, view, 3))


EXPECTED = dict(texts())


@pytest.mark.parametrize("name", EXPECTED)
def test_the_text_is_the_one_that_was_looked_at(name):
    assert EXPECTED[name] == (FOLDER / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, content in EXPECTED.items():
        (FOLDER / file_name).write_text(content, encoding="utf-8", newline="\n")
