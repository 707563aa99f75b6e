"""Imports go one way: a package imports from those above it in this list, when it is imported itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    ("errors", "arguments", "attributes", "keywords", "files", "checkpoints", "dtypes", "config", "above", "forks"),
    ("node", "system", "shapes", "ops"),
    ("printing",),
    ("inference",),
    ("passes",),
    ("fusion",),
    ("backends", "jit", "cuda"),
    ("lowering",),
    ("plans",),
    ("tensors",),
    ("notation",),
    ("data",),
    ("training",),
    ("models",),
    ("__init__",),
    ("graphs", "viz"),
    ("commands", "examples"),
    ("cli", "__main__"),
)
RANK = {name: k for k, layer in enumerate(LAYERS) for name in layer}
PICTURES = (
    ("arguments", "text", "style", "scene", "template", "view", "writers"),
    ("ops", "graph", "values"),
    ("blocks", "colouring"),
    ("layout", "page", "notation"),
    ("views", "cell", "attention", "flow"),
    ("fading",),
    ("api",),
    ("__init__",),
)


def _modules() -> dict[tuple[str, ...], Path]:
    """What is imported under which name, from a checkout: graphs, viz and examples lie beside the package."""
    found = {}
    for folder in ("tinygrad_rnn", "graphs", "viz", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[parts[1:] if folder == "tinygrad_rnn" else parts] = path
    return found


MODULES = _modules()


def _at_once(tree: ast.AST) -> Iterator[ast.ImportFrom]:
    """The imports that are done when a module is: not those of functions, nor those for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom):
            yield node
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and not (
                isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _at_once(node)


def _imported(name: tuple[str, ...], path: Path) -> Iterator[tuple[str, ...]]:
    """The modules of ours that a module imports."""
    for node in _at_once(ast.parse(path.read_text(encoding="utf-8"))):
        said = tuple((node.module or "").split(".")) if node.module else ()
        if node.level:
            base = (*name[: len(name) - node.level], *said)
        elif said[:1] == ("tinygrad_rnn",):
            base = said[1:]
        else:
            continue
        for alias in node.names:
            yield next(m for m in ((*base, alias.name), (*base, alias.name, "__init__"), base, (*base, "__init__"))
                       if m in MODULES)


@pytest.mark.parametrize("package", RANK)
def test_a_package_imports_from_its_own_layer_and_below(package: str) -> None:
    own = [name for name in MODULES if name[0] == package]
    assert own
    for name in own:
        for other in _imported(name, MODULES[name]):
            assert RANK[other[0]] <= RANK[package], f"{'.'.join(name)} imports {'.'.join(other)}"


def test_pictures_are_layered_too() -> None:
    rank = {name: k for k, layer in enumerate(PICTURES) for name in layer}
    for name in MODULES:
        for other in _imported(name, MODULES[name]) if name[0] == "viz" else ():
            assert other[0] != "viz" or rank[other[1]] <= rank[name[1]], f"{'.'.join(name)} imports {'.'.join(other)}"


def test_no_module_imports_itself_by_others() -> None:
    graph = nx.DiGraph((a, b) for a, path in MODULES.items() for b in _imported(a, path))
    assert graph.number_of_edges() > len(MODULES)
    assert nx.is_directed_acyclic_graph(graph)


def test_graphs_and_pictures_never_meet() -> None:
    for own, other in (("graphs", "viz"), ("viz", "graphs")):
        mine = [name for name in MODULES if name[0] == own]
        assert mine and not any(found[0] == other for name in mine for found in _imported(name, MODULES[name]))
