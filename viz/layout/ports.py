"""Where wires meet the boxes that are no cells: in the order of where they come from and go to, one straight above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..style import SMALL
from ..template import Place, Template
from ..text import width
from ..view import Link, View

LEAST, EDGE = 17.0, 7.0  # distances of ports from each other and of the last from a corner; alike for all boxes, so
#                          that what leaves one box in order enters the next without a turn
BESIDE = 12.0  # around a label between wires
ROUND = 0.8  # how far from its middle, of its radius, a circle is met

Ways = Callable[[Link], tuple[float, float]]
Group = tuple[int, bool]  # boxes of one template


def arranged(view: View, ways: Ways, gap: float) -> View:
    """The view with the ports of its simple boxes in order, gap or more apart; all boxes of one template alike.

    ways: how far to the right of a link's target its wire comes from, and of its source goes to; 0 straight.
    """
    simple = {id(b.template): b.template for b in view.boxes.values()
              if not b.template.panels and len(b.template.shapes) == 1}
    gaps = _gaps(view, max(gap, LEAST))
    into: dict[int, dict[str, list[float]]] = {}
    out_of: dict[int, dict[str, list[float]]] = {}
    for link in view.links:
        a, b = view.boxes[link.source].template, view.boxes[link.target].template
        below = (id(b) in simple or not b.wires) and b.ins[link.port].side == "bottom" and len(b.ins) > 1
        above = id(a) in simple and not link.sideways and len(a.outs) > 1
        if below or above:
            came, goes = ways(link)
            if below:
                into.setdefault(id(b), {}).setdefault(link.port, []).append(came)
            if above:
                out_of.setdefault(id(a), {}).setdefault(link.out, []).append(goes)
    done = {key: _arranged(t, into.get(key, {}), out_of.get(key, {}), gaps[key]) for key, t in simple.items()
            if len(into.get(key, ())) > 1 or len(out_of.get(key, ())) > 1 or len(t.rails) > 1}
    done |= {id(b.template): _in_order(b.template, into[id(b.template)]) for b in view.boxes.values()
             if id(b.template) in into and id(b.template) not in simple}
    if not done:
        return view
    boxes = {key: replace(b, template=done.get(id(b.template), b.template)) for key, b in view.boxes.items()}
    return replace(view, boxes=boxes)


def _gaps(view: View, least: float) -> dict[int, float]:
    """By template, how far its ports are apart: as far as labels are wide that say which of the wires from one box to
    another is which, or else these would stand beside their common way; a circle stays as small as it is."""
    labels: dict[tuple[str, str], list[float]] = {}
    for link in view.links:
        labels.setdefault((link.source, link.target), []).append(width(link.label, SMALL))
    gaps = {id(b.template): least for b in view.boxes.values()}
    for (_, target), wide in labels.items():
        t = view.boxes[target].template
        if sum(map(bool, wide)) > 1 and t.shapes[0].kind != "circle":
            gaps[id(t)] = max(gaps[id(t)], max(wide) + BESIDE)
    return gaps


def _arranged(t: Template, into: dict[str, list[float]], out_of: dict[str, list[float]], gap: float) -> Template:
    shape = t.shapes[0]
    round_ = shape.kind == "circle"
    below, above = _offsets(into), _offsets(out_of)
    most = max(map(abs, (*below.values(), *above.values())), default=0.0)
    w = max(t.w, 2 * most * gap / ROUND if round_ else 2 * (most * gap + EDGE))
    h = w if round_ else t.h
    reach = w / 2

    def drop(x: float) -> float:
        return (reach**2 - x**2) ** 0.5 if round_ else h / 2

    def aside(place: Place) -> Place:
        x = {"left": 0.0, "right": w}.get(place.side, w / 2)
        return place._replace(x=x, y={"top": 0.0, "bottom": h}.get(place.side, place.y + (h - t.h) / 2))

    ins, outs = {k: aside(p) for k, p in t.ins.items()}, {k: aside(p) for k, p in t.outs.items()}
    ins |= {k: Place(reach + x * gap, h / 2 + drop(x * gap), "bottom") for k, x in below.items()}
    outs |= {k: Place(reach + x * gap, h / 2 - drop(x * gap), "top") for k, x in above.items()}
    rails = {k: aside(p) for k, p in t.rails.items()}
    return replace(t, w=w, h=h, shapes=[replace(shape, w=w, h=h)], ins=ins, outs=outs, rails=rails)


def _in_order(t: Template, into: dict[str, list[float]]) -> Template:
    """A panel with its ports in order, at the places that they have."""
    free = sorted(t.ins.values())
    order = sorted(t.ins, key=lambda key: round(sum(into[key]) / len(into[key])) if key in into else 0)
    return replace(t, ins=dict(zip(order, free, strict=True)))


def _offsets(ways: dict[str, list[float]]) -> dict[str, float]:
    """port -> its place from the middle, in gaps: in the order of the ways; one that goes straight in the middle."""
    mean = {key: sum(xs) / len(xs) for key, xs in ways.items()}
    order = sorted(mean, key=lambda key: round(mean[key]))
    straight = next((k for k, key in enumerate(order) if not all(ways[key])), (len(order) - 1) / 2)
    return {key: k - straight for k, key in enumerate(order)}


def left_at(t: Template, off: float) -> Template:
    """The template of a simple box with the one point where it is left at the top moved aside, as far as it is wide."""
    (name, place), = t.outs.items()
    round_ = t.shapes[0].kind == "circle"
    most = t.w * ROUND / 2 if round_ else t.w / 2 - EDGE
    if abs(off) > most:
        return t
    y = t.h / 2 - (t.w**2 / 4 - off**2) ** 0.5 if round_ else place.y
    return replace(t, outs={name: place._replace(x=place.x + off, y=y)})
