"""README.md and the pages of docs/ that no other test reads: their code runs as it stands and gives what they show."""

from __future__ import annotations

import copy
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.cli import parser
from tinygrad_rnn.commands import showcase
from tinygrad_rnn.notation.functions import IN_TEXT

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILES = [path for folder in ("tinygrad_rnn", "viz", "examples", "tests") for path in (ROOT / folder).rglob("*.py")]
README = PAGES[0].read_text(encoding="utf-8")


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def run(page: str, **given: Any) -> dict[str, Any]:
    """The names that the code of a page leaves."""
    for block in blocks(ROOT / page):
        exec(compile(block, page, "exec"), given)
    return given


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("readme"))
        return run("README.md") | {"left": {path.name for path in Path().iterdir()}}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_runs(readme: dict[str, Any]) -> None:
    assert readme["left"] == {"lstm.svg", "lstm3.svg", "run.html", "m.safetensors"}
    assert readme["out"]["c"].shape == (16, 50, 64) and set(readme["grads"]) == set(readme["lstm"].weights)
    assert readme["y1"].shape == readme["y2"].shape == (1, 27) and not np.array_equal(readme["y1"], readme["y2"])
    np.testing.assert_allclose(readme["g"].numpy(), 2 * (1 - np.tanh(4.0) ** 2), rtol=1e-4)
    np.testing.assert_array_equal(readme["a"].grad.numpy(), readme["g"].numpy())


def test_the_readme_shows_what_is_printed(readme: dict[str, Any]) -> None:
    shown = re.search(r"```\n(\.\.\.\nd_h.*?)```", README, re.S)
    assert shown
    printed = str(readme["lstm"].grad("loss")).splitlines()
    for line in shown[1].splitlines():
        start = line.removesuffix("...")
        assert [one for one in printed if one == line or (line != start and one.startswith(start))], line


def test_the_readme_shows_what_a_mistake_says() -> None:
    shown = re.search(r"```\ntinygrad_rnn\.errors\.BadValue: (.*?)```", README, re.S)
    assert shown
    with pytest.raises(tr.Error) as caught:
        tr.equations("h[t] = tanh(U @ h[t-1] + W @ x[t] + b)\ny = softmax(V @ h[t] + c)", x=3, h=4, y=2)
    message, at = shown[1].split("\n  line 2", 1)
    assert str(caught.value) == f"{' '.join(message.split())}\n  line 2{at.rstrip()}"


def test_the_readme_names_functions_that_there_are() -> None:
    listed = re.search(r"- Operators are (.*?)\n- ", README, re.S)
    assert listed and len(names := re.findall(r"`(\w+)(?:\(x.*?)?`", listed[1])) > 30
    assert not set(names) - {*IN_TEXT, "and", "or", "not"}


def test_the_counts_of_the_readme() -> None:
    assert f"`tr.graphs` has {len(tr.graphs.MODELS)}," in README
    assert len(showcase.examples()) == 19 and "lists nineteen scripts" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_links_and_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for groups in re.findall(r'\]\(([^)#]+)\)|(?:src|href)="([^"#]+)"', text):
        link = "".join(groups)
        assert link.startswith("https:") or (page.parent / link).exists(), link
    for command in re.findall(r"^tinygrad-rnn (.*?)(?:  +#.*| *; .*)?$", text, re.M):
        parser().parse_args(shlex.split(command))
    for file in re.findall(r"`([\w/]+\.py)`", text):
        assert any(path.match(file) for path in FILES), file
    for name in re.findall(r"\btr\.((?:data\.|graphs\.|viz\.|backends\.)?\w+)", text):
        found: Any = tr
        for part in name.split("."):
            found = getattr(found, part)


def test_no_page_has_code_that_is_not_run() -> None:
    """The tests here and those of the pages that have one of their own run all but what needs a GPU."""
    found = {str(page.relative_to(ROOT / "docs")) for page in PAGES[1:] if blocks(page) and page.parent.name == "docs"}
    assert found == {"data.md", "diagrams.md", "generation.md", "gpu.md", "howto.md", "recipes.md"}
    for block in blocks(ROOT / "docs" / "gpu.md"):
        compile(block, "gpu.md", "exec")


def test_the_pages_of_models_make_them() -> None:
    pages = [page for page in PAGES if page.parent.name == "models" and page.stem != "README"]
    assert {page.stem for page in pages} == set(tr.graphs.MODELS)
    for page in pages:
        model = run(str(page.relative_to(ROOT)), tr=tr)["model"]
        count = sum(weight.size for weight in model.weights.values())
        assert f"**{count:,}**" in page.read_text(encoding="utf-8"), page


RNG = np.random.default_rng(1)
SHAPES = {"weight_ih_l0": (256, 27), "weight_hh_l0": (256, 64), "bias_ih_l0": 256, "bias_hh_l0": 256}
STATE = {name: 0.2 * RNG.normal(size=shape) for name, shape in SHAPES.items()}  # as of a torch.nn.LSTM


def test_howto_runs(readme: dict[str, Any], here: Path) -> None:
    given = {name: readme[name] for name in ("tr", "np", "X", "Y", "L", "data")}
    done = run("docs/howto.md", **given, copy=copy, lstm=copy.deepcopy(readme["lstm"]), state=STATE,
               source=RNG.integers(0, 5, (16, 50)), translator=tr.graphs.luong(inputs=5, hidden=4, outputs=5))
    assert not np.array_equal(done["twin"].weights["W_hi"], done["lstm"].weights["W_hi"])
    assert {path.name for path in here.iterdir()} == {"looked.svg", "m.safetensors", "m.csv", "w.npz"}
    assert len(done["history"].valid_loss) <= 20 and done["last"].shape == (16, 64)


def test_diagrams_runs(readme: dict[str, Any], here: Path) -> None:
    run("docs/diagrams.md", model=readme["lstm"], X=readme["X"][:2, :3], Y=readme["Y"][:2, :3])
    assert {path.name for path in here.iterdir()} >= {"cell.svg", "run.svg", "back.svg", "time.svg"}
