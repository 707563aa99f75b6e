"""Two ways to write a position: h⟨t⟩, raised, or below the line, as lecture notes do."""

from __future__ import annotations

from dataclasses import replace

from .scene import Scene, Shape
from .text import Label


def lowered(scene: Scene) -> Scene:
    """The scene with every ⟨position⟩ as a subscript."""
    def shapes(found: list[Shape]) -> list[Shape]:
        return [replace(s, label=_lowered(s.label), lines=tuple(map(_lowered, s.lines))) for s in found]

    return replace(scene, panels=shapes(scene.panels), shapes=shapes(scene.shapes),
                   notes=[replace(n, label=_lowered(n.label)) for n in scene.notes],
                   wires=[replace(w, label=_lowered(w.label), adjoint=_lowered(w.adjoint)) for w in scene.wires])


def _lowered(label: Label) -> Label:
    out: Label = ()
    for span in label:
        if span.rise > 0 and span.text.startswith("⟨") and span.text.endswith("⟩"):
            below = bool(out) and out[-1].rise < 0  # W_x⟨t⟩: after a comma
            span = replace(span, text=("," if below else "") + span.text[1:-1], rise=-0.2, source=span.text)
        out += (span,)
    return out
