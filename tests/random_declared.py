"""Random declared models to be drawn: cells of any kind, layers, attention, outputs, in texts that are mostly right."""

from __future__ import annotations

import re

from hypothesis import strategies as st

import tinygrad_rnn as tr

NAMES = ["h", "c", "k", "q", "state_with_a_long_name", "m", "p", "ü", "v2", "u"]
SQUASH = ["tanh", "sigmoid", "relu", "sin"]


class _Writer:
    """Declares a random model, equation by equation; every quantity has 3 features."""

    def __init__(self, draw: st.DrawFn):
        self.draw = draw
        self.lines: list[str] = []
        self.names = list(NAMES)
        self.weights = 0
        self.below = ["x[t]"]
        if self.flip():
            self.below.append("another_input[t]")

    def flip(self, odds: int = 2) -> bool:
        return self.draw(st.integers(0, odds - 1)) == odds - 1

    def one(self, found: list[str]) -> str:
        return self.draw(st.sampled_from(found))

    def weight(self) -> str:
        self.weights += 1
        return self.one(["W", "U", "R_x"]) + f"_{self.weights}"

    def name(self, prefix: str = "") -> str:
        return prefix + self.names.pop(self.draw(st.integers(0, len(self.names) - 1))) if self.names else (
            f"{prefix}z{len(self.lines)}")

    def say(self, left: str, right: str) -> None:
        self.lines.append(f"{left} = {right}")

    def mixed(self, terms: list[str], most: int = 3) -> str:
        """An affine map of some terms, squashed, or a sum of products."""
        chosen = self.draw(st.lists(st.sampled_from(terms), min_size=1, max_size=most, unique=True))
        affine = " + ".join(f"{self.weight()} @ {term}" for term in chosen)
        kind = self.draw(st.integers(0, 3))
        if kind == 0:
            return " * ".join(chosen)
        if kind == 1:
            return f"{chosen[0]} + {self.one(SQUASH)}({affine})"
        return f"{self.one(SQUASH)}({affine} + {self.weight()})" if kind == 2 else f"{self.one(SQUASH)}({affine})"

    def cell(self) -> None:
        """States that read each other at a shift, with gates before them and perhaps a boundary."""
        shifts = self.one(["t-1", "t-1", "t-1", "t+1", "t-2", "t-1 t-2", "t+1 t+3"]).split()
        states = [self.name() for _ in range(self.draw(st.integers(1, 3)))]
        before = [f"{name}[{shift}]" for name in states for shift in shifts]
        below = self.below[-3:]
        gates = []
        for _ in range(self.draw(st.integers(0, 4))):
            gate = self.name("g_")
            self.say(f"{gate}[t]", self.mixed(below + before + gates))
            gates.append(f"{gate}[t]")
        done: list[str] = []
        for state in states:
            own = f"{state}[{self.one(shifts)}]"
            new = self.mixed(below + gates + before + done)
            self.say(f"{state}[t]", f"{self.one(gates or below)} * {own} + {new}" if self.flip() else
                     f"{new} + {self.weight()} @ {own}")
            done.append(f"{state}[t]")
            if self.flip(4):
                last = "T+1" if "+" in shifts[0] else "0"
                self.say(f"{state}[{last}]", self.one([f"tanh({self.weight()} @ img[n])", f"tanh({self.weight()})"]))
        self.below = [*self.below, *done]

    def plain(self) -> None:
        terms = self.below[-4:]
        if self.flip(3):
            terms = [*terms, *(term.replace("[t]", self.one(["[t-1]", "[t+1]", "[t-2]"])) for term in terms)]
        name = self.name()
        self.say(f"{name}[t]", self.mixed(terms, 4))
        self.below.append(f"{name}[t]")

    def deep(self) -> None:
        """A network whose layers are an index."""
        name, below = self.name(), self.below[-1]
        self.say(f"{name}[l,t]", f"tanh(W[l] @ {name}[l-1,t] + U[l] @ {name}[l,t-1] + b[l])")
        self.say(f"{name}[0,t]", f"E @ {below}")
        self.below.append(f"{name}[3,t]")

    def attention(self) -> None:
        own, scores, alpha, context = self.below[-1], self.name("e_"), self.name("a_"), self.name("ctx_")
        memory = "z[s]" if self.flip() else self.below[-1].replace("t]", "s]")
        if self.flip():
            self.say(f"{scores}[t,s]", f"dot({own}, {memory})")
            scored = f"{scores}[t,s]"
        else:
            scored = f"dot({self.weight()} @ {own}, {memory})"
        self.say(f"{alpha}[t,s]", f"softmax({scored}, over=s)")
        self.say(f"{context}[t]", f"sum({alpha}[t,s] * {memory}, over=s)")
        self.below.append(f"{context}[t]")

    def read_out(self) -> None:
        """Outputs a step or of the sequence, and perhaps a loss."""
        top = self.below[-1]
        for k in range(self.draw(st.integers(0, 3))):
            term = self.one(self.below[-4:])
            last = term.replace("t]", "T]")
            kind = self.draw(st.integers(0, 3))
            if kind == 0:
                self.say(f"out{k}[t]", f"softmax({self.weight()} @ {term})")
                top = f"out{k}[t]"
            else:
                whole = [f"V{k} @ {last}", f"sum({term}, over=t)", f"mean({term}, over=t) + {last}"]
                self.say(f"out{k}", whole[kind - 1])
        if self.flip():
            self.say("loss", self.one([f"mean(squared_error({top}, target[t]))", f"mean({top} * {top})",
                                       f"mean(cross_entropy(softmax({top}), target[t]))"]))


@st.composite
def declared(draw: st.DrawFn) -> str:
    writer = _Writer(draw)
    for part in draw(st.lists(st.sampled_from(["cell", "cell", "cell", "plain", "plain", "deep", "attention"]),
                              min_size=1, max_size=4)):
        if part != "deep" or "W[l]" not in "".join(writer.lines):
            getattr(writer, part)()
    writer.read_out()
    return "\n".join(writer.lines)


def built(text: str) -> tr.Model | None:
    """The model of a text; None for one that has no order of computing."""
    vectors = set(re.findall(r"(\w+)\[", text)) | set(re.findall(r"^(\w+) =", text, re.M))
    sizes = {name: 3 for name in vectors if not name.startswith(("e_", "a_", "target", "W", "U", "b", "loss"))}
    sizes |= {"l": 3} if "[l," in text else {}
    try:
        return tr.equations(text, **sizes)
    except tr.Error:
        return None
