"""The equations, typeset beside the folded diagram in the diagram's colours."""

from __future__ import annotations

from dataclasses import replace

from tinygrad_rnn.ops.draws import DECLARED
from tinygrad_rnn.printing.printer import equation_text
from tinygrad_rnn.printing.typeset import typeset

from ..blocks.breaks import broken
from ..graph.roles import Roles
from ..scene import Note, Scene, moved
from ..style import FAINT, FILLS, INK, LINES, MARGIN, ROLE_FILL, SMALL
from ..text import formula, plain, width

SIZE, LEADING, INDENT = 14.0, 26.0, 22.0
GAP = 28.0  # between the diagram and the equations
LONGEST = 480.0  # of a right side; beyond, it goes on in the next line


def beside(scene: Scene, roles: Roles) -> Scene:
    """The scene with the model's equations at its right, aligned at their equals signs."""
    colours = name_colours(roles)
    rows = []
    for eq in roles.system.equations:
        name, _, value = equation_text(typeset(eq)).partition(" = ")
        sign = plain("∼  " if eq.rhs.op in DECLARED else "=  ")
        first, *more = broken(value, SIZE, LONGEST, colours)
        rows.append((formula(name, colours), [(*sign, *first), *more], plain(eq.comment) if eq.comment else ()))
    widest = max(width(left, SIZE) for left, _, _ in rows)
    height = LEADING * sum(len(right) for _, right, _ in rows)
    page = max(scene.height, height + 2 * MARGIN)
    at = scene.width + GAP + widest
    y = (page - height) / 2 + LEADING / 2
    aside = at + 18 + max((width(lines[-1], SIZE) + (INDENT if len(lines) > 1 else 0.0)
                           for _, lines, comment in rows if comment), default=0.0)
    lowered = moved(scene, 0.0, (page - scene.height) / 2)
    notes, right = list(lowered.notes), at
    for left, lines, comment in rows:
        notes.append(Note(at - 8, y, left, SIZE, INK, "end"))
        for k, shown in enumerate(lines):
            x = at + (INDENT if k else 0.0)
            notes.append(Note(x, y, shown, SIZE, INK, "start"))
            end = x + width(shown, SIZE)
            if comment and k == len(lines) - 1:
                notes.append(Note(aside, y, comment, SMALL, FAINT, "start"))
                end = aside + width(comment, SMALL)
            right = max(right, end)
            y += LEADING
    return replace(lowered, notes=notes, width=right + MARGIN, height=page)


def name_colours(roles: Roles) -> dict[str, str]:
    """The colour in which each quantity is drawn: a state's that of its wire, others that of their boxes' borders."""
    found = {name: FILLS["weight"].stroke for name, q in roles.system.quantities.items() if q.role == "weight"}
    for name, role in roles.role.items():
        state = LINES[roles.line(name)].colour
        found[name] = state if role == "state" else FILLS[ROLE_FILL[role]].stroke
    return found
