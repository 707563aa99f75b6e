"""How the labels of a picture are written: names as their system says, positions raised, h⟨t⟩, or below the line, as
lecture notes do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tinygrad_rnn.printing.symbols import Names
from tinygrad_rnn.system import System

from .scene import Scene, Shape
from .text import Label, read_by


def lowered(scene: Scene) -> Scene:
    """The scene with every ⟨position⟩ as a subscript."""
    return _with_labels(scene, _lowered)


def with_adjoints(scene: Scene, system: System) -> Scene:
    """The scene with δ before adjoints alone, and the numbers of their terms at it, as in LaTeX."""
    names = Names(system)
    if not any(name.startswith("d_") for name in names.known):
        return scene
    return _with_labels(scene, lambda label: read_by(label, names))


def _with_labels(scene: Scene, change: Callable[[Label], Label]) -> Scene:
    def shapes(found: list[Shape]) -> list[Shape]:
        return [replace(s, label=change(s.label), lines=tuple(map(change, s.lines))) for s in found]

    return replace(scene, panels=shapes(scene.panels), shapes=shapes(scene.shapes),
                   notes=[replace(n, label=change(n.label)) for n in scene.notes],
                   wires=[replace(w, label=change(w.label), adjoint=change(w.adjoint)) for w in scene.wires])


def _lowered(label: Label) -> Label:
    out: Label = ()
    for span in label:
        if span.rise > 0 and span.text.startswith("⟨") and span.text.endswith("⟩"):
            below = bool(out) and out[-1].rise < 0  # W_x⟨t⟩: after a comma
            span = replace(span, text=("," if below else "") + span.text[1:-1], rise=-0.2, source=span.text)
        out += (span,)
    return out
