"""What `help` says of the public functions."""

from __future__ import annotations

import inspect

import pytest

from tinygrad_rnn.notation.functions import FUNCTIONS
from tinygrad_rnn.notation.meaning import MEANING

INNER = {"codes", "key", "at"}  # arguments that the project alone gives


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_how_it_is_called_and_what_it_computes(name):
    doc, row = inspect.getdoc(FUNCTIONS[name]) or "", FUNCTIONS[name].row
    assert f"\n{name}(" in "\n" + doc
    if name in MEANING:
        call = MEANING[name][0].split(", ")
        named = [argument.partition("=")[0] for argument in call if argument != "..."]
        assert [p for p in named if p in row.params] == [p for p in row.params if p in named]
        assert set(row.params) - set(named) <= INNER and doc.endswith(".")
        assert row.arity in (None, len([a for a in named if a not in row.params]))


def test_nothing_else_is_explained():
    assert set(MEANING) <= set(FUNCTIONS)
