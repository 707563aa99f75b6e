"""What a text of equations means, computed as slowly and directly as can be, in plain NumPy.

Nothing is shared with the engine. The text is parsed by `ast`; each value is of one example at one position, and
follows from its equation by recursion; a sum goes through the positions. There is no padding that could be touched.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BATCH = "n"


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(z: np.ndarray) -> np.ndarray:
    return (z - z.mean()) / np.sqrt(z.var() + 1e-5)


FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "tanh": np.tanh, "sin": np.sin, "sigmoid": lambda z: 1 / (1 + np.exp(-z)), "softmax": softmax,
    "layer_norm": layer_norm, "maximum": np.maximum, "where": np.where, "dot": np.dot,
    "concat": lambda *parts: np.concatenate(parts),
    "embed": lambda table, one_hot: one_hot @ table, "squared_error": lambda a, b: (a - b) ** 2,
    "cross_entropy": lambda p, k: -np.sum(k * np.log(p)),
}
REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {"sum": np.sum, "mean": np.mean, "max": np.max}
ARITHMETIC = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.power,
              ast.MatMult: np.matmul}
COMPARISONS = {ast.Lt: np.less, ast.LtE: np.less_equal, ast.Gt: np.greater, ast.GtE: np.greater_equal,
               ast.Eq: np.equal, ast.NotEq: np.not_equal}


def parts(node: ast.expr) -> list[ast.expr]:
    """Of `t,s` or `(t, s)` both, of `t` itself."""
    return node.elts if isinstance(node, ast.Tuple) else [node]


def named(node: ast.AST) -> str:
    """The name that a node is; of anything else none."""
    return node.id if isinstance(node, ast.Name) else ""


def options(call: ast.Call) -> dict[str, ast.expr]:
    return {str(keyword.arg): keyword.value for keyword in call.keywords}


def of_features(node: ast.expr) -> int | slice:
    """What a second bracket says."""
    if not isinstance(node, ast.Slice):
        return int(ast.literal_eval(node))
    return slice(*(None if p is None else ast.literal_eval(p) for p in (node.lower, node.upper, node.step)))


@dataclass(frozen=True)
class Here:
    """An example, and a position in it for each index."""

    example: int
    at: Mapping[str, int]


@dataclass(frozen=True)
class Equation:
    """left: what stands in the bracket; right: the right side."""

    left: Sequence[ast.expr]
    right: ast.expr

    @property
    def indices(self) -> tuple[str, ...] | None:
        """Those of the left side; None of a boundary equation."""
        names = tuple(named(p) for p in self.left if named(p).islower())
        return names if len(names) == len(self.left) else None


class Reference:
    """The values of a model.

    arrays: of weights and inputs, by name; indices: what each array's first axes are ("n" is the batch, weights mostly
    have none); shapes: of the features of all names; lengths: of each index in each example; static: the indices whose
    range is the model's and not an example's.
    """

    def __init__(self, text: str, arrays: Mapping[str, np.ndarray], indices: Mapping[str, Sequence[str]],
                 shapes: Mapping[str, tuple[int, ...]], lengths: Mapping[str, Sequence[int]],
                 static: Collection[str] = ()) -> None:
        self.arrays, self.shapes, self.lengths, self.static = arrays, shapes, lengths, static
        self.indices = {name: tuple(letters) for name, letters in indices.items()}
        self.equations: dict[str, list[Equation]] = {}
        for line in ast.parse(text).body:
            assert isinstance(line, ast.Assign)
            left = line.targets[0]
            name, at = (left.value, parts(left.slice)) if isinstance(left, ast.Subscript) else (left, [])
            assert isinstance(name, ast.Name)
            equation = Equation(at, line.value)
            self.equations.setdefault(name.id, []).append(equation)
            if equation.indices is not None:
                self.indices[name.id] = equation.indices
        self.batch = len(next(iter(lengths.values())))
        self._values: dict[tuple[str, tuple[int, ...], int], np.ndarray] = {}

    def array(self, name: str) -> np.ndarray:
        """All values of a name, as a run gives them: the batch first, then indices, then features; padding is zero."""
        letters = [i for i in self.indices[name] if i != BATCH]
        out = np.zeros([self.batch, *(max(self.lengths[i]) for i in letters), *self.shapes[name]])
        for place, n in self.places([*letters, BATCH], Here(0, {})):
            out[(n, *(place[i] - 1 for i in letters))] = self.value(name, tuple(place[i] for i in letters), n)
        return out if self.by_example(name) else out[0]

    def value(self, name: str, place: tuple[int, ...], example: int) -> np.ndarray:
        """That of one example at one position, counted from 1; zero beyond the ends but where an equation says more."""
        key = (name, place, example)
        if key not in self._values:
            self._values[key] = self._computed(*key)
        return self._values[key]

    def _computed(self, name: str, place: tuple[int, ...], example: int) -> np.ndarray:
        letters = [i for i in self.indices[name] if i != BATCH]
        for equation in self.equations.get(name, ()):
            at = self._met(equation, letters, place, example)
            if at is not None:
                found = self.evaluate(equation.right, Here(example, at))
                return found if equation.indices is not None else np.broadcast_to(found, self.shapes[name])
        at = dict(zip(letters, place, strict=True))
        if name not in self.arrays or not all(1 <= p <= self.lengths[i][example] for i, p in at.items()):
            return np.zeros(self.shapes[name])
        found = self.arrays[name][tuple(example if i == BATCH else at[i] - 1 for i in self.indices[name])]
        return np.eye(self.shapes[name][0])[found] if found.dtype.kind == "i" else found

    def _met(self, equation: Equation, letters: Sequence[str], place: Sequence[int],
             example: int) -> dict[str, int] | None:
        """The positions of its indices with which an equation's left side is that place; None where it never is."""
        at = {}
        for letter, part, p in zip(letters, equation.left, place, strict=True):
            if named(part) == letter:
                if not 1 <= p <= self.lengths[letter][example]:
                    return None
                at[letter] = p
            elif self.position(part, Here(example, {})) != p:
                return None
        return at

    def position(self, node: ast.expr, here: Here) -> int:
        """What stands in a bracket: `t`, `t-1`, `0`, `T+2`."""
        match node:
            case ast.Constant(value=int(value)):
                return value
            case ast.UnaryOp(op=ast.USub()):
                return -self.position(node.operand, here)
            case ast.BinOp():
                sign = 1 if isinstance(node.op, ast.Add) else -1
                return self.position(node.left, here) + sign * self.position(node.right, here)
            case ast.Name() if node.id in self.lengths:
                return here.at[node.id]
            case ast.Name():
                return self.lengths[node.id.lower()][here.example]
        raise ValueError(ast.unparse(node))

    def evaluate(self, node: ast.expr, here: Here) -> np.ndarray:
        """The value of an expression of one example at one position."""
        match node:
            case ast.Constant(value=int() | float() as value):
                return np.asarray(float(value))
            case ast.UnaryOp(op=ast.USub()):
                return -self.evaluate(node.operand, here)
            case ast.Compare():
                return COMPARISONS[type(node.ops[0])](self.evaluate(node.left, here),
                                                      self.evaluate(node.comparators[0], here))
            case ast.BinOp():
                a, b = self.evaluate(node.left, here), self.evaluate(node.right, here)
                assert isinstance(node.op, ast.MatMult) or () in (a.shape, b.shape) or a.shape == b.shape
                return ARITHMETIC[type(node.op)](a, b)
            case ast.Name() if node.id in self.shapes:
                return self.value(node.id, (), here.example)
            case ast.Name():
                return np.asarray(float(self.position(node, here)))
            case ast.Subscript(value=ast.Name(id=name)):
                at = [p for p in parts(node.slice) if named(p) != BATCH]
                return self.value(name, tuple(self.position(p, here) for p in at), here.example)
            case ast.Subscript():
                return self.evaluate(node.value, here)[of_features(node.slice)]
            case ast.Call() if named(node.func) in REDUCTIONS:
                return self._reduced(REDUCTIONS[named(node.func)], node, here)
            case ast.Call() if "over" in options(node):
                return self._softmax_over(node, here)
            case ast.Call():
                return FUNCTIONS[named(node.func)](*(self.evaluate(a, here) for a in node.args))
        raise ValueError(ast.unparse(node))

    def _reduced(self, reduce: Callable[..., np.ndarray], call: ast.Call, here: Here) -> np.ndarray:
        argument, given = call.args[0], options(call)
        if "axis" in given:
            return reduce(self.evaluate(argument, here), axis=ast.literal_eval(given["axis"]))
        over = [named(p) for p in parts(given["over"])] if given else sorted(self.varies(argument))
        values = [self.evaluate(argument, Here(n, at)) for at, n in self.places(over, here)]
        return reduce(np.array(values), axis=0 if given else None)

    def _softmax_over(self, call: ast.Call, here: Here) -> np.ndarray:
        letter = named(options(call)["over"])
        values = [self.evaluate(call.args[0], Here(n, at)) for at, n in self.places([letter], here)]
        return FUNCTIONS[named(call.func)](np.array(values))[here.at[letter] - 1]

    def places(self, over: Sequence[str], here: Here) -> Iterator[tuple[dict[str, int], int]]:
        """All positions of these indices: in here's example, or with n among them in all that reach where we are."""
        letters = [i for i in over if i != BATCH]
        for n in range(self.batch) if BATCH in over else [here.example]:
            if all(p <= self.lengths[i][n] for i, p in here.at.items() if i not in letters):
                for place in itertools.product(*(range(1, self.lengths[i][n] + 1) for i in letters)):
                    yield {**here.at, **dict(zip(letters, place, strict=True))}, n

    def varies(self, node: ast.AST) -> set[str]:
        """The indices, n among them, with which an expression's value changes."""
        match node:
            case ast.Name() if node.id in self.shapes:
                return {BATCH} if self.by_example(node.id) else set()
            case ast.Name():
                return {node.id} if node.id in self.lengths else set() if node.id.lower() in self.static else {BATCH}
            case ast.Subscript():
                letters = {named(part) for part in ast.walk(node.slice)} & {*self.lengths, BATCH}
                return letters | self.varies(node.value)
            case ast.Call():
                found = set().union(*(self.varies(a) for a in node.args))
                given = options(node)
                if named(node.func) not in REDUCTIONS or "axis" in given:
                    return found
                return found - {named(p) for p in parts(given["over"])} if given else set()
        return set().union(*(self.varies(child) for child in ast.iter_child_nodes(node)))

    def by_example(self, name: str) -> bool:
        """Has each example its own values: by an index whose range differs by example, or by what they follow from?"""
        if name in self.arrays:
            return BATCH in self.indices[name]
        return bool(set(self.indices[name]) - set(self.static)) or any(
            BATCH in self.varies(equation.right) for equation in self.equations[name])
