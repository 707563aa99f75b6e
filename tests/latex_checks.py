"""Is LaTeX well formed?"""

from __future__ import annotations

import re


def assert_well_formed(latex: str) -> None:
    """Balanced groups, environments and brackets, and nothing with two subscripts or two superscripts."""
    lines = latex.splitlines()
    assert (lines[0], lines[-1]) == (r"\begin{aligned}", r"\end{aligned}")
    for number, row in enumerate(lines[1:-1], 2):
        assert row.endswith(r" \\") == (number < len(lines) - 1), row
        outside, left = row, 1
        while left:
            outside, left = re.subn(r"\\begin\{cases\}((?!\\begin).)*?\\end\{cases\}", "", outside)
        assert len(re.findall(r"(?<!\\)&", outside)) == 1, row
        depth, opened, last = 0, list[set[str]]([set()]), ""
        for token in re.findall(r"\\[a-zA-Z]+|\\.|[{}_^]|[^\\{}_^\s]", row):
            if token in "_^":
                assert token not in opened[-1], row
                opened[-1].add(token)
            elif token == "{":
                depth += 1
                opened.append(set())
            elif token == "}":
                depth -= 1
                opened.pop()
            elif last not in ("_", "^"):
                opened[-1] = set()
            if token == "{" and last not in ("_", "^"):
                opened[-2] = set()
            last = token
        assert depth == 0 and row.count("begin{cases}") == row.count("end{cases}"), row
        assert len(re.findall(r"\\left\b", row)) == len(re.findall(r"\\right\b", row)), row
    for opening, closing in (("(", ")"), ("[", "]"), (r"\biggl", r"\biggr"), (r"\lvert", r"\rvert")):
        assert latex.count(opening) == latex.count(closing), latex
