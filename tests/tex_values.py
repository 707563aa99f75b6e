"""A formula of LaTeX, read as a person reads it: what it is worth, computed from the values of its symbols."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

TOKEN = re.compile(r"\\left|\\right|\\text\{[^}]*\}|\\mathbf\{\d\}|\\[a-zA-Z]+|\\.|\{:\}|\d+(?:\.\d+)?|"
                   r"[a-zA-Z](?:_\{\w+\})?|\S")
FUNCTIONS: dict[str, Any] = {
    r"\tanh": np.tanh, r"\sigma": lambda x: 1 / (1 + np.exp(-x)), r"\exp": np.exp, r"\log": np.log, r"\sin": np.sin,
    r"\cos": np.cos, r"\text{relu}": lambda x: np.maximum(x, 0),
    r"\text{softmax}": lambda x: np.exp(x) / np.exp(x).sum(), r"\text{mean}": np.mean, r"\max": np.max}
OPEN, CLOSE = ("(", "[", r"\lvert"), (")", "]", r"\rvert")
STOPS = (*CLOSE, "}", ";", ",", "+", "-", r"\odot", "")


class Value:
    """The value of a formula; `names`: symbol -> array."""

    def __init__(self, latex: str, names: dict[str, Any]):
        self.tokens = [t for t in TOKEN.findall(self.told_apart(latex)) if t not in (r"\left", r"\right", r"\,")]
        self.names, self.at = names, 0

    @staticmethod
    def told_apart(latex: str) -> str:
        return latex.replace(r"\left|", r"\lvert ").replace(r"\right|", r"\rvert ")

    def value(self) -> Any:
        found = self.total()
        assert self.at == len(self.tokens), self.tokens[self.at :]
        return found

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        assert not expected or token == expected, (expected, token, self.tokens)
        self.at += 1
        return token

    def total(self) -> Any:
        """Terms with signs between."""
        minus = self.peek() == "-" and bool(self.take())
        found = -self.term() if minus else self.term()
        while self.peek() in ("+", "-"):
            found = found + self.term() if self.take() == "+" else found - self.term()
        return found

    def term(self) -> Any:
        """Products element by element, each of factors side by side, of which none is a product of a matrix."""
        parts = [self.factors()]
        while self.peek() == r"\odot":
            self.take()
            parts.append(self.factors())
        found = parts[0][0]
        for value, _ in parts[1:]:
            found = found * value
        assert len(parts) == 1 or not any(contracts for _, contracts in parts), "W x ⊙ y may mean two things"
        return found

    def factors(self) -> tuple[Any, bool]:
        """Factors side by side from left to right, and whether any but numbers are multiplied."""
        if self.peek() == r"\sum":
            self.take()
            return np.sum(self.term()), False
        found, contracts = self.powered(), False
        while self.peek() not in STOPS:
            dotted = self.peek() == r"\cdot" and bool(self.take())
            value = self.powered()
            if dotted and np.ndim(found):
                found = found.T
            contracts |= np.ndim(found) > 0 and np.ndim(value) > 0
            found = found @ value if np.ndim(found) and np.ndim(value) else found * value
        return found.reshape(()) if np.shape(found) == (1, 1) else found, contracts

    def powered(self) -> Any:
        """A factor with what is raised at it, and the part that is taken of it. A vector is a column."""
        found = self.factor()
        while self.peek() == "^" or self.is_part():
            if self.take() == "[":
                edges = "".join(self.until("]")).replace("{:}", ":").split(":")
                found = found[slice(*map(int, edges))]
            elif self.peek() == r"\top":
                self.take()
                found = found.T
            else:
                found = found ** self.group()
        return found

    def is_part(self) -> bool:
        """Do brackets begin here that hold edges, not vectors one below the other?"""
        return self.peek() == "[" and ";" not in self.tokens[self.at : self.tokens.index("]", self.at)]

    def until(self, end: str) -> list[str]:
        found = []
        while self.peek() != end:
            found.append(self.take())
        self.take()
        return found

    def group(self) -> Any:
        self.take("{")
        found = self.total()
        self.take("}")
        return found

    def factor(self) -> Any:
        token = self.take()
        if token in FUNCTIONS:
            power = 1
            if self.peek() == "^":
                self.take()
                power = self.group()
            self.take("(")
            found = FUNCTIONS[token](self.total())
            self.take(")")
            return found**power
        if token in OPEN:
            parts = [self.total()]
            while self.peek() == ";":
                self.take()
                parts.append(self.total())
            self.take(CLOSE[OPEN.index(token)])
            return np.abs(parts[0]) if token == r"\lvert" else np.concatenate(parts) if token == "[" else parts[0]
        if token == r"\frac":
            return self.group() / self.group()
        if token == "{":
            self.at -= 1
            return self.group()
        if token == "e":
            self.take("^")
            return np.exp(self.group())
        if token == r"\mathbf{1}":
            return np.ones((len(next(v for v in self.names.values() if np.ndim(v))), 1))
        return float(token) if token[0].isdigit() else self.names[token]
