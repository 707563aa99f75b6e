"""What a user meets at a prompt: the public names, their help, and a checkout that was never installed."""

from __future__ import annotations

import argparse
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.cli import parser

ROOT = Path(__file__).resolve().parents[1]
MODULES = {"tr": tr, "graphs": tr.graphs, "viz": tr.viz, "data": tr.data}
PUBLIC = [(f"{where}.{name}", getattr(module, name)) for where, module in MODULES.items() for name in module.__all__]
TOLD = [tr.Model.fit, tr.Model.evaluate, tr.Model.run, tr.Model.stepper, tr.Model.profile, tr.Model.check_gradient,
        tr.viz.draw]
FUNCTIONS = [(name, one) for name, one in PUBLIC if inspect.isfunction(one) or inspect.isclass(one)]


def test_the_package_lists_its_public_names_and_no_others() -> None:
    names = {name for name in dir(tr) if not name.startswith("__")}
    assert names == {*tr.__all__, "data", "graphs", "viz"} and re.fullmatch(r"\d+\.\d+\.\d+", tr.__version__)


@pytest.mark.parametrize("one", [one for _, one in PUBLIC if callable(one)], ids=lambda one: one.__name__)
def test_every_public_name_says_what_it_is(one: object) -> None:
    assert len(inspect.getdoc(one) or "") > 10


@pytest.mark.parametrize("one", [one for _, one in FUNCTIONS], ids=[name for name, _ in FUNCTIONS])
def test_every_public_signature_has_types(one: Callable) -> None:
    found = inspect.signature(one).parameters.values()
    assert not [p.name for p in found if p.annotation is p.empty]


@pytest.mark.parametrize("function", TOLD, ids=lambda function: function.__qualname__)
def test_help_tells_of_every_argument(function: Callable) -> None:
    told = " ".join((inspect.getdoc(function) or "").split())
    others = inspect.signature(tr.Model.value_and_grad).parameters if "as in `value_and_grad`" in told else {}
    names = [*inspect.signature(function).parameters][1:]
    assert not [name for name in names if name not in others and not re.search(rf"\b{name}\b", told)]


def arguments(of: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from arguments(command)
        else:
            yield action


def test_the_command_line_tells_of_every_argument() -> None:
    assert not [action.dest for action in arguments(parser()) if not action.help]


def test_a_checkout_runs_where_nothing_is_installed() -> None:
    """Its graphs, viz and examples stand beside the package, not inside as once installed."""
    code = ("import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'ditable' not in repr(f)]\n"
            "import tinygrad_rnn as tr, tinygrad_rnn.examples.harness\n"
            "print(tr.__file__, tr.graphs.__file__, tr.viz.__file__)")
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.split() == [str(ROOT / name / "__init__.py") for name in ("tinygrad_rnn", "graphs", "viz")], ran


def test_without_an_installation_there_is_no_version_and_still_help() -> None:
    code = ("import importlib.metadata as metadata, pydoc, tinygrad_rnn as tr\n"
            "def version(name): raise metadata.PackageNotFoundError(name)\n"
            "metadata.version = version\n"
            "print(hasattr(tr, '__version__'), 'equations' in pydoc.render_doc(tr))")
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.split() == ["False", "True"], ran
