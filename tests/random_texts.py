"""Random models as texts of equations, of every form that the notation has."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

INPUTS = {"x": ("nt", "vector"), "u": ("nt", "scalar"), "w": ("nt", "class"), "z": ("ns", "vector"),
          "img": ("n", "vector")}
LAYERS = 2  # the range of the static index l
# What an expression is made of: in braces another, or one of the words below; "!" puts it in parentheses if need be.
FORMS = {
    "vector": ["{matrix} @ {vector!}"] * 3 + ["{vector} {sign} {either!}", "{function}({vector})"] * 2 + [
        "-{vector!}", "{vector!} * {either!}", "maximum({vector}, {vector})",
        "where({scalar} > {scalar}, {vector}, {vector})"],
    "scalar": ["dot({vector}, {vector})", "{reduce}({vector}, axis=0)", "{scalar!} * {scalar!}", "{smooth}({scalar})"],
}
LINEAR = {"vector": ["{matrix} @ {vector!}", "{vector} {sign} {either!}"], "scalar": ["{scalar} {sign} {scalar!}"]}
AT_AN_INDEX = {"vector": ["where({index} {relation} {bound}, {vector}, {either})"], "scalar": []}
WORDS = {"sign": "+-", "either": ["vector", "scalar"], "reduce": ["sum", "mean", "max"],
         "function": ["tanh", "sigmoid", "softmax", "layer_norm", "sin"], "smooth": ["tanh", "sigmoid", "sin"],
         "relation": ["<=", "==", "<", ">", ">=", "!="]}


@dataclass(frozen=True)
class Made:
    """A quantity: its index ("" without one), whether it is a vector, and in which block of equations it stands."""

    index: str
    kind: str
    block: int


@dataclass(frozen=True)
class Place:
    """Where an expression stands: at which index, in which block, whose loop has shifts of that sign.

    ready: names of the same block that may be read without a shift.
    """

    index: str
    block: int
    sign: str = "-"
    ready: tuple[str, ...] = ()


def grouped(text: str) -> str:
    """The text as an operand."""
    return f"({text})" if isinstance(ast.parse(text, mode="eval").body, ast.BinOp) else text


def is_reading(text: str) -> bool:
    """Is it a name at a place, so that a second bracket is of its features?"""
    return text.endswith("]") and "(" not in text and "@" not in text


class Writer:
    """A random text, block by block; a block reads those before it."""

    def __init__(self, seed: int) -> None:
        self.rng, self.lines = random.Random(seed), list[str]()
        self.made: dict[str, Made] = {}
        self.weights: dict[str, tuple[str, str]] = {}  # index and kind
        self.others: dict[str, str] = {}  # kinds of quantities that only their own block reads
        self.size = self.rng.choice([1, 2, 3, 10])

    def text(self) -> str:
        for block in range(self.rng.choice([1, 2, 2, 3])):
            blocks = [self.loop] * 4 + [self.attention] * 2 + [self.whole, self.grid, self.layers]
            self.rng.choice(blocks if block else [self.loop])(block)
        self.lines.append("loss = " + " + ".join(self.terms()))
        if self.rng.random() < 0.5:
            self.rng.shuffle(self.lines)
        return "\n".join(self.lines)

    def new(self, index: str, kind: str, block: int) -> str:
        name = f"q{len(self.made)}"
        self.made[name] = Made(index, kind, block)
        return name

    def weight(self, kind: str, index: str = "") -> str:
        known = [name for name, what in self.weights.items() if what == (index, kind)]
        if known and self.rng.random() < 0.4:
            return self.rng.choice(known)
        name = f"W{len(self.weights) + 1}"
        self.weights[name] = (index, kind)
        return name

    # -- blocks

    def loop(self, block: int) -> None:
        """One to three quantities that read each other, forward or backward in time, mostly from given starts."""
        index, sign = self.rng.choice("ttts" if block else "t"), self.rng.choice("-+")
        names = [self.new(index, self.rng.choice(["vector", "vector", "scalar"]), block)
                 for _ in range(self.rng.choice([1, 1, 2, 3]))]
        for k, name in enumerate(names):
            kind, place = self.made[name].kind, Place(index, block, sign, tuple(names[:k]))
            if self.rng.random() < 0.3:
                self.lines.append(f"{name}[{index}] = {self.filled_in(self.rng.choice(LINEAR[kind]), place, 1)}")
            else:
                self.squashed(f"{name}[{index}]", self.expression(kind, place, self.rng.choice([1, 2, 2, 3])))
            for far in range(self.rng.choice([0, 1, 1, 2])):
                start = self.expression(self.at_a_boundary(kind), Place("", block), 1)
                self.lines.append(f"{name}[{self.start(index, sign, far)}] = {start}")

    def at_a_boundary(self, kind: str) -> str:
        """What is set there: a vector also by one number."""
        return self.rng.choice([kind, kind, kind, "scalar"])

    def start(self, index: str, sign: str, far: int = 0) -> str:
        """The position before the first, or beyond the last of a loop that goes backward."""
        return f"{-far}" if sign == "-" else f"{index.upper()}+{far + 1}"

    def squashed(self, left: str, right: str) -> None:
        """Values stay small however long a loop is."""
        self.lines.append(f"{left} = {self.rng.choice(['tanh', 'sigmoid', 'tanh'])}({right})")

    def whole(self, block: int) -> None:
        """A quantity of a whole example."""
        kind = self.rng.choice(["vector", "scalar"])
        right = self.expression(kind, Place("", block), 2)
        self.squashed(self.new("", kind, block), right)

    def attention(self, block: int) -> None:
        """To another sequence, or to the same one by another letter."""
        key, own = self.vector("t", "x", block), self.vector("t", "", block)
        letter, source = ("r", own) if own else ("s", self.vector("s", "z", block))
        name, matrix = self.new("t", "vector", block), self.weight("matrix")
        weights, of = f"a{name[1:]}", self.rng.choice
        self.others[weights] = "scalar"
        score = f"dot({key}[t{of(['', '-1'])}], {matrix} @ {source}[{letter}]){of([f' + 0.1*{letter}', ''])}"
        read = f"{weights}[t{of(['', '', '-1'])},{letter}] * {source}[{letter}{of(['', '+1'])}]"
        self.lines += [f"{weights}[t,{letter}] = softmax({score}, over={letter})",
                       f"{name}[t] = sum({read}, over={letter})"]

    def vector(self, index: str, given: str, block: int) -> str:
        """A vector at that index, of an earlier block or the data."""
        wanted = [Made(index, "vector", before) for before in range(block)]
        return self.rng.choice([*(name for name, made in self.made.items() if made in wanted), given])

    def grid(self, block: int) -> None:
        """A recurrence in two indices, each in a direction of its own, and what is left of it at each t."""
        (one, two), inside = (self.rng.choice("-+") for _ in "ts"), f"g{len(self.made)}"
        self.others[inside] = "vector"
        matrices = [self.weight("matrix") for _ in "ts"]
        self.squashed(f"{inside}[t,s]", f"{matrices[0]} @ {inside}[t{one}1,s] + {matrices[1]} @ {inside}[t,s{two}1]"
                                        f" + {self.vector('t', 'x', block)}[t] * {self.vector('s', 'z', block)}[s]")
        starts = {f"{self.start('t', one)},s": Place("s", block), f"t,{self.start('s', two)}": Place("t", block)}
        for at, place in starts.items():
            if self.rng.random() < 0.5:
                self.lines.append(f"{inside}[{at}] = {self.expression(self.at_a_boundary('vector'), place, 1)}")
        read = self.rng.choice([f"{inside}[t,S]", f"mean({inside}[t,s], over=s)", f"max({inside}[t-1,s], over=s)"])
        self.lines.append(f"{self.new('t', 'vector', block)}[t] = {read}")

    def layers(self, block: int) -> None:
        """A deep network in one equation, and its last layer."""
        sign, name = self.rng.choice("-+"), self.new("t", "vector", block)
        inside = f"d{name[1:]}"
        self.others[inside] = "vector"
        across, up, bias, start = (self.weight(kind, "l") for kind in ("matrix", "matrix", "vector", "vector"))
        self.squashed(f"{inside}[l,t]", f"{up}[l] @ {inside}[l-1,t] + {across}[l] @ {inside}[l,t{sign}1] + {bias}[l]")
        first = self.expression(self.at_a_boundary("vector"), Place("t", block, sign), 1)
        self.lines.append(f"{inside}[0,t] = {first}")
        if self.rng.random() < 0.5:
            self.lines.append(f"{inside}[l,{self.start('t', sign)}] = {start}[l]")
        self.lines.append(f"{name}[t] = {inside}[L,t]")

    def terms(self) -> Iterator[str]:
        """Of the loss."""
        chosen = [name for name in self.made if self.rng.random() < 0.6] or [next(iter(self.made))]
        for name in chosen:
            made = self.made[name]
            at = f"[{made.index}{self.rng.choice(['', '', '-1', '+1'])}]" if made.index else ""
            here = f"{name}[{made.index}]" if made.index else "0.5"
            forms = [f"mean({name}{at})", f"mean({name}{at}**2)", f"0.1 * sum({name}{at} * {name}{at})",
                     f"mean(squared_error({name}{at}, {here}))"]
            if (made.index, made.kind) == ("t", "vector"):
                forms.append(f"mean(cross_entropy(softmax({name}{at}), w[t]))")
            yield self.rng.choice(forms)

    # -- expressions

    def expression(self, kind: str, place: Place, depth: int) -> str:
        if depth == 0 or self.rng.random() < 0.1:
            return self.leaf(kind, place)
        return self.filled_in(self.rng.choice(FORMS[kind] + AT_AN_INDEX[kind] * bool(place.index)), place, depth)

    def filled_in(self, form: str, place: Place, depth: int) -> str:
        words = {**WORDS, "index": [place.index], "bound": ["1", "2", place.index.upper()]}

        def part(found: re.Match[str]) -> str:
            word = self.rng.choice(words.get(found[1], [found[1]]))
            if word == "matrix":
                return self.weight(word)
            text = self.expression(word, place, depth - 1) if word in FORMS else word
            return grouped(text) if found[2] else text

        return re.sub(r"\{(\w+)(!?)\}", part, form)

    def leaf(self, kind: str, place: Place) -> str:
        """Something that can be read here: at a shift, at a fixed position, over all positions or examples."""
        found = [*self.data(kind, place), self.weight(kind)]
        for name, made in self.made.items():
            if made.kind == kind:
                found += self.reads(name, made, place)
        if kind == "scalar":
            vectors = [*self.data("vector", place), *(r for name, made in self.made.items() if made.kind == "vector"
                                                      for r in self.reads(name, made, place))]
            found += [f"{vector}[{self.rng.randrange(self.size)}]" for vector in vectors if is_reading(vector)]
            found += [f"0.1*{place.index}", f"{place.index} / {place.index.upper()}", "0.5"] if place.index else ["0.5"]
        chosen = self.rng.choice(found)
        if place.index and f"[{place.index}" in chosen and "(" not in chosen and self.rng.random() < 0.2:
            return f"{self.rng.choice(['sum', 'mean', 'max'])}({chosen}, over=n)"
        if kind == "vector" and self.size > 1 and is_reading(chosen) and self.rng.random() < 0.2:
            cut = self.rng.randrange(1, self.size)
            return f"concat({chosen}[{cut}:], {chosen}[:{cut}])"
        return chosen

    def data(self, kind: str, place: Place) -> Iterator[str]:
        for name, (indices, of) in INPUTS.items():
            at = f"[{place.index}{self.rng.choice(['', '', '-1', '+1', '-2'])}]"
            if of == kind and indices == f"n{place.index}":
                yield f"{name}{at}" if place.index else f"{name}[n]"
            elif kind == "vector" and of == "class" and place.index == "t":
                matrix = self.weight("matrix")
                yield self.rng.choice([f"{matrix} @ {name}{at}", f"embed({matrix}, {name}{at})"])

    def reads(self, name: str, made: Made, place: Place) -> list[str]:
        """The ways in which a quantity can be read from there."""
        i, of = made.index, self.rng.choice
        if made.block == place.block:
            past = [f"{name}[{i}{place.sign}{of([1, 1, 2, 3])}]"] * 3
            return (past + [f"{name}[{i}]"] * 2 * (name in place.ready)) if i and i == place.index else []
        if not i:
            return [name]
        last = i.upper()
        whole = [f"{name}[{last}]", f"sum({name}[{i}{of(['', '-1', '+1'])}], over={i})"]
        if i == place.index:
            return [f"{name}[{i}{of(['', '', '-1', '+1', '-2', '+2', '-3'])}]"] * 3 + whole
        return [*whole, f"{name}[{last}-1]", f"{name}[1]", f"{name}[{of(['0', '2', last + '+1', last + '-2'])}]",
                f"mean({name}[{i}], over={i})", f"max({name}[{i}], over={i})"]
