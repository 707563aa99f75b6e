"""The code of docs/generation.md runs, and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[1] / "docs" / "generation.md"


def test_the_page_runs():
    scope: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        exec(block, scope)
    out, text, beams = scope["out"], scope["text"], scope["beams"]
    assert out["w"].shape == (8, 30)  # type: ignore[index]
    np.testing.assert_array_equal(out["w"][:, :5], text[:, :5])  # type: ignore[index]
    assert beams.codes.shape[:2] == (4, 5)  # type: ignore[attr-defined]
