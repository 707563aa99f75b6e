"""From a view to a scene: rows and columns, channels between the rows and gutters between the columns for wires.

Rows count from the bottom. Boxes are moved a little where wires would be in each other's way, then all is drawn.
"""

from __future__ import annotations

from dataclasses import replace

from ..blocks.cell import tidy
from ..scene import Note, Scene, Wire
from ..style import FAINT, LINES, MARGIN, SMALL
from ..template import Template
from ..text import plain, width
from ..view import Box, Link, Loop, View
from . import turns
from .ports import LEAST, arranged, left_at
from .routes import Hop, Routes
from .stamp import Stamps
from .standing import ARC

DODGES = tuple((way * LEAST / 2, apart) for apart in (0.0, 8.0, 16.0) for way in (0, 1, -1, 2, -2, 3, -3)
               )  # how far a row goes aside, to between the ports of the next, and how much wider its boxes stand
PATIENCE = 10_000  # wires that are looked at for one row: of thousands in one channel none is followed by anybody
NEARLY = 10.0  # so near to each other two ends have a straight line between them, not one with a turn that is none


class _Grid(Routes):
    def __init__(self, view: View):
        super().__init__(replace(view, boxes=dict(view.boxes)))
        turns.sort(self)
        apart = arranged(view, self.ways, view.track)
        if apart is not view:
            self.show(apart)
            self.beside()
        self.align()
        self.route()
        self.dodge()

    # -- small moves -------------------------------------------------------------------------------

    def align(self) -> None:
        """What leads straight up to a port beside its middle leaves under it; what reads nothing stands under it.

        Where others stand beside what reads it, only if it is nearly there.
        """
        aside: dict[tuple[int, int], set[float]] = {}
        members: dict[tuple[int, int], list[Box]] = {}
        for box in self.boxes:
            members.setdefault((id(box.template), box.row), []).append(box)
        for link in self.view.links:
            a, b = self.view.boxes[link.source], self.view.boxes[link.target]
            simple = len(a.template.outs) == len(a.template.shapes) == 1
            if a.column == b.column and simple and a.row not in self.aside and not link.sideways and len(
                    self.walk(link)) == 1:
                off = self.port_x(b, b.template.ins[link.port]) - self.port_x(a, a.template.outs[link.out])
                if len(self.cells[b.row, b.spot]) == 1 or abs(off) <= NEARLY:
                    aside.setdefault((id(a.template), a.row), set()).add(round(off, 2))
        for group, offs in aside.items():
            off, boxes = min(offs, key=lambda x: (abs(x), x)), members[group]
            if abs(off) > 0.01:
                self.shift(boxes, off, any(b.key not in self.given for b in boxes))
        self.show(self.view)
        self.beside()

    def shift(self, boxes: list[Box], off: float, fed: bool) -> None:
        """Move boxes of one template aside, or where that would bend what they read, the point where they are left."""
        if not fed and all(len(self.cells[b.row, b.spot]) == 1 for b in boxes):
            self.off |= {box.key: off for box in boxes}
            return
        moved = left_at(boxes[0].template, off)
        for box in boxes:
            self.view.boxes[box.key] = replace(box, template=moved)

    def dodge(self) -> None:
        """Move the boxes of a row, or of the one below it, a little, where wires between them could not pass."""
        for row in range(self.view.rows):
            for moved in (row, row - 1):
                if moved >= 0 and self.channels[row].clashes:
                    self.dodge_with(moved, row)
        if self.dodged:
            self.beside()
            self.route()

    def dodge_with(self, moved: int, row: int) -> None:
        """Move the boxes of a row so that the channel under another is free, or as well as it goes."""
        found = {DODGES[0]: self.clashes(moved)}
        wires = sum(len(self.through.get(("channel", k), ())) for k in (moved, moved + 1))
        for dodge in DODGES[1 : PATIENCE // wires]:
            found[dodge] = self.clashes_after(moved, dodge)
            if not self.channels[row].clashes:
                return
        self.clashes_after(moved, min(found, key=found.__getitem__))

    def clashes_after(self, row: int, dodge: tuple[float, float]) -> int:
        self.dodged[row] = dodge
        self.again(row)
        self.channels[row : row + 2] = self.settled(("channel", row)), self.settled(("channel", row + 1))
        return self.clashes(row)

    def clashes(self, row: int) -> int:
        """Under and above a row: all that a small move of its boxes changes."""
        return self.channels[row].clashes + self.channels[row + 1].clashes

    # -- the scene ---------------------------------------------------------------------------------

    def scene(self) -> Scene:
        twins = {(link.source, link.out) for link in self.view.links if link.gradient}
        read = {(link.source, link.out) for link in self.view.links}
        fed = {(link.target, link.port) for link in self.view.links}
        scene, stamps = Scene(self.width, self.height, title=self.view.title), Stamps()
        for box in self.boxes:
            rails = [(q, (p.x, p.y)) for q, p in box.template.rails.items() if box.template.wires]
            ends = [at for q, at in rails if (box.key, q) not in twins] if twins else ()
            idle = [at for q, at in rails if (box.key, q) not in read and q not in _states(box.template)]
            idle += [(p.x, p.y) for port, p in box.template.ins.items() if (box.key, port) not in fed]
            stamps.put(scene, box, *self.corner(box), ends, idle)
        for link, hops in self.walks:
            scene.wires.append(self.wire(link, hops))
        by_box: dict[str, list[Loop]] = {}
        for loop in self.view.loops:
            by_box.setdefault(loop.box, []).append(loop)
        for key, loops in by_box.items():
            self.arcs(self.view.boxes[key], loops, scene)
        self.legend(scene)
        return scene

    def wire(self, link: Link, hops: list[Hop]) -> Wire:
        a, b = self.view.boxes[link.source], self.view.boxes[link.target]
        out = self.out(link)
        into = b.template.ins[link.port]
        (ax, ay), (bx, by) = self.corner(a), self.corner(b)
        start, end = (ax + out.x, ay + out.y), (bx + into.x, by + into.y)
        points = [start]
        for kind, number in hops:
            if kind == "gutter" and not self.is_straight(link, hops, start, end):
                x = self.track(kind, number, link.net)
                points.append((x, points[-1][1]))
            elif kind == "channel" and not self.is_straight(link, hops, start, end):
                y = self.track(kind, number, link.net)
                points.append((points[-1][0], y))
        if hops[-1][0] == "gutter":
            points.append((points[-1][0], end[1]))
        else:
            points.append((end[0], points[-1][1]))
        points.append(end)
        ends = not out.open or (link.gradient and _without_gradients(a.template))
        return Wire(tuple(tidy(points)), link.style, not into.open, ends, link.dashed, link.gradient,
                    link.label, link.adjoint, f"{link.source} -> {link.target}",
                    a.template.marks[link.out].placed(a.places) if link.out in a.template.marks else None)

    def is_straight(self, link: Link, hops: list[Hop], start: tuple[float, float], end: tuple[float, float]) -> bool:
        """Does a single hop need no turn?"""
        if len(hops) != 1:
            return False
        return abs(start[1] - end[1]) < 0.01 if hops[0][0] == "gutter" else abs(start[0] - end[0]) < 0.01

    def arcs(self, box: Box, loops: list[Loop], scene: Scene) -> None:
        x, y = self.corner(box)
        right, slot = x + box.template.w, box.template.h / len(loops)
        for k, loop in enumerate(loops):
            inset = max(5.0, slot * 0.2)
            top, low = y + slot * k + inset, y + slot * (k + 1) - inset
            points = ((right, top), (right + ARC, top), (right + ARC, low), (right, low))
            scene.wires.append(Wire(points, loop.style, dashed=True, name=f"{box.name} -> {box.name}"))
            scene.notes.append(Note(right + ARC + 8, (top + low) / 2, loop.label, SMALL, LINES[loop.style].colour,
                                    "start"))

    def legend(self, scene: Scene) -> None:
        """At the lower right, a line for each kind of arrow."""
        if not self.view.legend:
            return
        room = max(width(plain(text), SMALL) for _, text in self.view.legend)
        scene.width = max(scene.width, room + 60 + 2 * MARGIN)
        x, y = scene.width - MARGIN - room - 44, scene.height + 4
        for style, text in self.view.legend:
            if style:
                scene.wires.append(Wire(((x, y), (x + 34, y)), style, name="legend"))
            scene.notes.append(Note(x + 42, y, plain(text), SMALL, FAINT, "start"))
            y += 18
        scene.height = y + MARGIN / 2


def _states(t: Template) -> set[str]:
    """What goes on to the next step, even after the last."""
    return {key.split("[")[0] for key, place in t.ins.items() if place.side in ("left", "right")}


def _without_gradients(t: Template) -> bool:
    """Does the gradient go no further inside?"""
    return bool(t.wires) and not any(w.gradient for w in t.wires)


def layout(view: View) -> Scene:
    """Place everything that a view shows."""
    return _Grid(view).scene()
