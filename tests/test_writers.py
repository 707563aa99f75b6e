"""Pictures as LaTeX and as Mermaid text, and graphs of operations of any size."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
import zoo
from effort import at_most
from pictured import HOSTILE, renamed

import tinygrad_rnn as tr
from tinygrad_rnn import viz
from tinygrad_rnn.errors import BadType, BadValue
from tinygrad_rnn.node import Node, refs, walk
from tinygrad_rnn.tensors.scope import scopes_of
from tinygrad_rnn.viz.api import make_scene, make_view
from tinygrad_rnn.viz.ops.collapse import _ways, collapsed
from tinygrad_rnn.viz.ops.opgraph import op_dot
from tinygrad_rnn.viz.ops.scopes import operations
from tinygrad_rnn.viz.scene import Note, Scene
from tinygrad_rnn.viz.text import named, plain, quantity
from tinygrad_rnn.viz.writers import mpl as write_mpl
from tinygrad_rnn.viz.writers.mermaid import escaped, mermaid
from tinygrad_rnn.viz.writers.tex import label_tex, mathematics, text
from tinygrad_rnn.viz.writers.tikz import BEGIN, END, tikz

VIEWS = ("folded", "unrolled", "backward")
MODELS = {name: zoo.build(name) for name in zoo.MODELS}
NASTY = [*HOSTILE[:4], '\\"]; }~%#_`?`--^^M\u2028ą\n\\end{document} --- end style:a#quot; %%{init}%%']
needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")


def options(view: str, steps: int = 3) -> dict[str, int]:
    return {} if view == "folded" else {"steps": steps}


def hostile() -> SimpleNamespace:
    """A model with names that no text could declare."""
    names = dict(zip(("h", "y", "W", "x", "target"), NASTY, strict=True))
    return SimpleNamespace(system=renamed(MODELS["rnn"].system, names))


# -- TikZ ------------------------------------------------------------------------------------------


def by_latex(folder: Path, source: str, name: str = "a") -> str:
    """Compile in a folder; the log. Fails where LaTeX does."""
    (folder / f"{name}.tex").write_text(source, encoding="utf-8")
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"], cwd=folder,
                          capture_output=True, timeout=60)
    log = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-2000:]
    return log


@needs_latex
@pytest.mark.parametrize(("name", "view"), [*((n, "folded") for n in ("gru", "reductions", "static_index")),
                                            ("attention", "unrolled"), ("two_dimensional", "backward")])
def test_latex_makes_one_page(tmp_path, name: str, view: str) -> None:
    log = by_latex(tmp_path, tikz(make_scene(MODELS[name], view, **options(view))))
    assert "(1 page" in log and "Missing character" not in log and "Overfull" not in log


@needs_latex
def test_latex_takes_hostile_names_and_positions_left_out(tmp_path) -> None:
    source = tikz(make_scene(hostile(), "unrolled", steps=12))
    assert "(1 page" in by_latex(tmp_path, source)
    assert r"\noglyph{6F22}" in source and "%   6F22: 漢" in source


@needs_latex
def test_a_paper_inputs_the_picture(tmp_path) -> None:
    for name in ("rnn", "lstm"):
        (tmp_path / f"{name}.tex").write_text(tikz(make_scene(MODELS[name], "unrolled", steps=2)), encoding="utf-8")
    log = by_latex(tmp_path, r"""\documentclass{article}\usepackage{amsmath,tikz}\begin{document}Before
        \begin{figure}\resizebox{\linewidth}{!}{\input{rnn.tex}}\caption{Twice.}\end{figure}
        between \resizebox{4cm}{!}{\input{lstm.tex}} after\end{document}""", "paper")
    assert "Output written" in log and "Overfull" not in log


@needs_latex
@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm is not installed")
def test_latex_draws_what_we_draw(tmp_path) -> None:
    from PIL import Image

    scene = make_scene(MODELS["lstm"], "unrolled", steps=2)
    by_latex(tmp_path, tikz(scene))
    write_mpl.write(scene, tmp_path / "ours.png", "png")
    subprocess.run(["pdftoppm", "-r", "144", "-png", "-singlefile", "a.pdf", "a"], cwd=tmp_path, check=True)
    ours, theirs = (Image.open(tmp_path / f).convert("L") for f in ("ours.png", "a.png"))
    assert all(abs(a - b) <= 2 for a, b in zip(ours.size, theirs.size, strict=True))
    small = tuple(side // 6 for side in ours.size)
    a, b = (np.asarray(image.resize(small, Image.Resampling.BOX), float) for image in (ours, theirs))
    assert np.abs(a - b).mean() < 2.5 < 5 < np.abs(a - b[:, ::-1]).mean()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", [*MODELS, ""])
def test_tikz_is_whole(name: str, view: str) -> None:
    scene = make_scene(MODELS[name] if name else hostile(), view, **options(view))
    source = tikz(scene)
    assert source == tikz(make_scene(MODELS[name] if name else hostile(), view, **options(view)))
    code = [line for line in source.splitlines() if not line.startswith("%")]
    assert all(line.isascii() for line in code)
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", "\n".join(code)):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    picture = source[source.index(BEGIN) : source.index(END)]
    assert picture.count(r"\begin{tikzpicture}") == picture.count(r"\end{tikzpicture}") == 1
    boxes = [s for s in (*scene.panels, *scene.shapes) if s.style != "none"]
    assert len(re.findall(r"^\\path\[box ", picture, re.M)) == len(boxes)
    assert len(re.findall(r"^\\path\[wire ", picture, re.M)) == len(scene.wires)
    assert picture.count("-- cycle;") == sum(w.head for w in scene.wires)
    assert set(re.findall(r"(?:fill|draw|text)=(\w+)", picture)) - {"none"} <= set(
        re.findall(r"\\definecolor\{(\w+)\}", picture))


@pytest.mark.parametrize(("label", "expected"), [
    (quantity("h", "t−1"), r"$h^{\langle t-1\rangle }$"),
    (quantity("W_xf"), "$W_{xf}$"),
    (quantity("W_out", "T"), r"$W_{\mathit{out}}^{\langle T\rangle }$"),
    (quantity("alpha_hat", "1"), r"$\hat{\alpha}^{\langle 1\rangle }$"),
    (named("y_hat"), r"$\hat{y}$"),
    (quantity("loss", "…"), r"\textit{loss}$^{\langle \ldots \rangle }$"),
    (named("d_c"), r"$\delta $$c$"),
    (plain("σ × ⋮ 50 %"), r"$\sigma $~$\times $~$\vdots $~50~\%"),
    (plain("é ß 漢"), r"\'{e}~{\ss}~\noglyph{6F22}"),
])
def test_labels_as_latex(label, expected: str) -> None:
    assert label_tex(label, str) == expected


def test_every_character_of_ascii_as_latex() -> None:
    for c in map(chr, range(32, 127)):
        assert text(c).isascii() and mathematics(c).isascii()
    assert text(r"\#$%&_{}~^") == (r"$\backslash $\#\$\%\&\_$\{$$\}$\textasciitilde{}\textasciicircum{}")


def test_a_page_that_tex_cannot_measure_is_refused() -> None:
    with pytest.raises(BadValue, match=r"20000 points .* more than the 16000"):
        tikz(Scene(20_000, 100))
    assert r"\node" in tikz(Scene(100, 100, notes=[Note(5, 5, plain("a"), 11, "#555555")]))


# -- Mermaid ---------------------------------------------------------------------------------------

# The part of Mermaid's grammar that is used: every line is one of these.
TEXT = r'"(?:[^"<>&`;|\[\]{}#]|#\d+;|<br/>)*"'
LINES = {
    "node": rf"(n\d+)(?:\(\({TEXT}\)\)|\({TEXT}\)):::(\w+)",
    "arrow": rf"(n\d+) (<?-->|<?-\.->)(?:\|{TEXT}\|)? (n\d+)",
    "class": r"classDef (\w+) fill:(?:#\w{6}|none),stroke:(?:#\w{6}|none),stroke-width:[\d.]+px,color:#\w{6}"
             r"(?:,stroke-dasharray:5 4)?",
    "link": r"linkStyle (\d+(?:,\d+)*) stroke:#\w{6},stroke-width:[\d.]+px",
    "begin": rf"subgraph (step\d+)\[{TEXT}\]",
    "end": r"(end)",
    "step": r"class (step\d+) (\w+)",
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", [*MODELS, ""])
def test_mermaid_keeps_to_its_grammar(name: str, view: str) -> None:
    shown = make_view(MODELS[name] if name else hostile(), view, **options(view))
    source = mermaid(shown)
    assert source == mermaid(make_view(MODELS[name] if name else hostile(), view, **options(view)))
    lines = source.split("\n")
    start = "flowchart LR" if len(shown.columns) > 1 else "flowchart BT"
    assert lines[0] == "---" and lines[-1] == "" and start in lines
    found: dict[str, list[tuple[str, ...]]] = {kind: [] for kind in LINES}
    for line in lines[lines.index(start) + 1 : -1]:
        kind, match = next(((k, m) for k, p in LINES.items() if (m := re.fullmatch(p, line.strip()))), ("", None))
        assert match is not None, line
        found[kind].append(match.groups())
    nodes = [node for node, _ in found["node"]]
    assert len(set(nodes)) == len(nodes) == len(shown.boxes)
    assert {style for _, style in found["node"]} <= {style for (style,) in found["class"]}
    assert {end for a, _, b in found["arrow"] for end in (a, b)} <= set(nodes)
    loops = len({loop.box for loop in shown.loops})
    assert len(found["arrow"]) == len(shown.links) + loops
    assert sum(line.startswith("<") for _, line, _ in found["arrow"]) == sum(link.gradient for link in shown.links)
    numbered = sorted(int(k) for (of,) in found["link"] for k in of.split(","))
    assert numbered == list(range(len(found["arrow"])))
    dashed = sum(line.endswith("-.->") for _, line, _ in found["arrow"])
    assert dashed == sum(link.dashed for link in shown.links) + loops
    steps = [c for c in range(len(shown.columns)) if c not in shown.ends and len(shown.columns) > 1]
    assert len(found["begin"]) == len(found["end"]) == len(steps) and '[""]' not in source


def test_mermaid_escapes_what_means_something() -> None:
    assert escaped('a"b<c>&#35;`|') == "a#34;b#60;c#62;#38;#35;35#59;#96;#124;"
    assert escaped("h⟨t−1⟩ = é") == "h⟨t−1⟩ = é"


# -- graphs of operations --------------------------------------------------------------------------


def unrolled(name: str, steps: int) -> tuple[list[Node], dict[Node, str]]:
    model = MODELS[name]
    flat = model.unroll({i: steps for i in zoo.dynamic(model)} or steps)._unrolled()
    return operations(model.system, flat)


@pytest.mark.parametrize("name", MODELS)
def test_every_way_to_collapse_has_all_operations(name: str) -> None:
    roots, scopes = unrolled(name, 3)
    nodes = list(walk(roots))
    constants = sum(node.op == "const" for node in nodes)
    for given in (scopes, {}):
        for k, found in enumerate(_ways(roots, given)):
            assert len(nodes) - constants <= sum(b.ops for b in found) <= len(nodes)
            assert all(0 <= arg < len(found) for b in found for arg, _ in b.args)
            if k < 2:  # operations and formulas; further, what is drawn once leads back to itself
                arrows = [(arg, at) for at, b in enumerate(found) for arg, _ in b.args]
                assert nx.is_directed_acyclic_graph(nx.DiGraph(arrows))
                assert len(found) < len(nodes) or k == 0


@pytest.mark.parametrize("most", [200, 100, 40, 20])
def test_collapsing_stops_as_soon_as_it_fits(most: int) -> None:
    roots, scopes = unrolled("lstm", 12)
    sizes = [len(found) for found in _ways(roots, scopes)]
    found = collapsed(roots, scopes, most, 10_000)
    assert len(found) <= most and len(found) == next(size for size in sizes if size <= most)


def test_a_loop_is_drawn_once() -> None:
    weights = [tr.Tensor(np.full((3, 3), float(k))) for k in range(2)]
    h = tr.Tensor(np.zeros(3))
    for k in range(50):
        h = (weights[0] @ tr.Tensor(np.full(3, float(k))) + weights[1] @ h).tanh() * 2.0
    dot = op_dot([h.node], "loop", 20)
    count = sum(1 for _ in walk([h.node]))
    assert f'label="loop\\n{count:,} operations in' in dot
    # The first step reads what is given, the others each other; two matrices stay two, the data of the steps are one.
    steps = re.findall(r'label="tanh\(a @ b \+ c @ d\) \* 2(?:  × (\d+))?\\n3"', dot)
    assert steps == ["", "49"]
    assert len(re.findall(r'label="data\\n3 × 3"', dot)) == 2
    assert len(re.findall(r'label="data  × \d+\\n3"', dot)) == 1
    loop = next(line.split()[0] for line in dot.splitlines() if "× 49" in line)
    assert f"  {loop} -> {loop} " in dot


def test_many_operations_take_work_in_proportion() -> None:
    x = h = tr.Tensor(np.ones(3))
    for _ in range(5_000):
        h = (h * x).tanh() + h
    with at_most(250 * 15_001):
        dot = op_dot([h.node], None, 1500)
    assert "15,001 operations in" in dot and len(dot) < 10_000


@needs_dot
def test_what_is_too_large_is_drawn_collapsed(tmp_path) -> None:
    roots, scopes = unrolled("lstm", 60)
    for given in (None, scopes):
        picture = viz.op_graph(roots, tmp_path / "a.svg", scopes=given).read_text(encoding="utf-8")
        assert re.search(r"1,\d\d\d operations in \d+ boxes", picture)
    whole = viz.op_graph(roots, tmp_path / "a.dot").read_text(encoding="utf-8")
    assert whole.count(" [label=") == sum(1 for _ in walk(roots)) and "operations in" not in whole


def test_scopes_of_an_unrolled_model() -> None:
    roots, scopes = unrolled("rnn", 3)
    system = MODELS["rnn"].system
    assert len(roots) == 1 and not {node.attr("name") for node in refs(roots)} & set(system.of_role("defined"))
    defined = {f"t = {t}/{q}" for t in (1, 2, 3) for q in ("h", "y")}
    assert set(scopes.values()) == defined | {f"t = {t}" for t in (1, 2, 3)} | {"loss"}
    dot = op_dot(roots, None, None, scopes)
    assert dot.count("subgraph") == 3 + len(defined) + 1
    assert dot.count("{") == dot.count("}")
    assert '"cluster t = 2/h"' in dot
    steps = op_dot(roots, None, 12, scopes)
    assert re.search(r'label="t = 2\\n\d+ operations"', steps)


@needs_dot
def test_hostile_scopes_and_titles(tmp_path) -> None:
    roots, _ = unrolled("rnn", 2)
    scopes = {node: f"{HOSTILE[k % 5]}/{HOSTILE[(k + 1) % 5]}" for k, node in enumerate(walk(roots))}
    for most in (None, 10, 1):
        file = viz.op_graph(roots, tmp_path / "a.svg", title=HOSTILE[4], collapse=most, scopes=scopes)
        assert file.read_text(encoding="utf-8").endswith("</svg>\n")


def test_mistakes_in_op_graphs(tmp_path) -> None:
    roots, _ = unrolled("rnn", 2)
    with pytest.raises(BadValue, match="collapse must be at least 1, not 0"):
        viz.op_graph(roots, tmp_path / "a.dot", collapse=0)
    for wrong in (2.5, True, "3"):
        with pytest.raises(BadType, match="collapse is a whole number"):
            viz.op_graph(roots, tmp_path / "a.dot", collapse=wrong)  # type: ignore[arg-type]
    with pytest.raises(BadType, match="scopes are names by node"):
        viz.op_graph(roots, tmp_path / "a.dot", scopes=["h"])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MODELS)
def test_to_networkx_of_an_unrolled_model(name: str) -> None:
    model = MODELS[name]
    flat = model.unroll({i: 3 for i in zoo.dynamic(model)} or 3)
    graph = flat.to_networkx()
    assert nx.is_directed_acyclic_graph(graph)
    assert set(graph) == set(flat.system.quantities)
    reads = {(node.attr("name"), eq.name) for eq in flat.system.equations for node in refs([eq.rhs])}
    assert set(graph.edges()) == reads


def test_scopes_of_tensors_are_frames():
    a = tr.Tensor(np.ones((2, 3)))
    with tr.scope("encoder"):
        h = (a + 1.0).tanh()
        with tr.scope("inner"):
            k = h * 2.0
    text = op_dot([(k + h).node], scopes=scopes_of(walk([(k + h).node])))
    assert text.count("subgraph") == 2 and "encoder" in text and "inner" in text
    assert scopes_of([h.node, k.node, a.node]) == {h.node: "encoder", k.node: "encoder/inner"}
    for name in ("", "a/b"):
        with pytest.raises(BadValue, match="a scope's name"), tr.scope(name):
            pass


def test_an_unrolled_model_as_operations(tmp_path):
    model = tr.equations("h[t] = tanh(U @ h[t-1] + W @ x[t])\nloss = sum(h[t] * h[t])", x=3, h=4)
    text = model.unroll(3).draw(tmp_path / "ops.dot", view="ops").read_text(encoding="utf-8")
    assert all(f"t = {k}" in text for k in (1, 2, 3)) and text.count("tanh") >= 3
    node = next(d for _, d in model.unroll(3).to_networkx().nodes(data=True) if d.get("positions") == {"t": 2}
                and d["quantity"] == "h")
    assert node["shape"] == (4,)
