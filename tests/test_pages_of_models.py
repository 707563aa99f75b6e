"""The pages of the ready models, and what the command says of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import cli
from tinygrad_rnn.commands import catalogue, pages, tasks


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(pages, "EPOCHS", 1)
    monkeypatch.setattr(pages, "EXAMPLES", 32)


def test_a_page_has_all_that_it_names(quick, tmp_path):
    page = pages.write_pages(tmp_path, ["gru"])
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "gru.md" and "h[t] = z[t] * h[t-1] + (1 - z[t]) * g[t]" in text
    assert r"\begin{aligned}" in text and "19,419" in text and "## reset='after'" in text and "Cho et al. 2014" in text
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    expected = ("gru-folded.svg", "gru-unrolled.svg", "gru-cell.svg", "gru-training.png", "gru-after-folded.svg")
    assert set(expected) <= set(shown)
    for name in shown:
        assert (tmp_path / name).stat().st_size > 500
    assert (tmp_path / "gru-training.png").read_bytes().startswith(b"\x89PNG")


def test_the_index_names_every_page(quick, tmp_path, monkeypatch):
    few = {name: make for name, make in catalogue.models().items() if name in ("rnn", "chain", "ctc")}
    monkeypatch.setattr(catalogue, "models", lambda: few)
    index = pages.write_pages(tmp_path).read_text(encoding="utf-8")
    for name in few:
        assert f'href="{name}.md"' in index and f"[{name}]({name}.md)" in index and (tmp_path / f"{name}.md").exists()
    for name in re.findall(r'src="([^"]+)"', index):
        assert (tmp_path / name).exists()


def test_a_model_is_told_of(capsys):
    assert cli.main(["models", "luong"]) == 0
    said = capsys.readouterr().out
    for part in ("Luong, Pham and Manning 2015", "score: 'dot', 'general', 'concat'", "a[t,s] = softmax(", "in all"):
        assert part in said
    assert cli.main(["models", "loung"]) == 2 and "did you mean 'luong'" in capsys.readouterr().err


def test_the_list_of_models(capsys):
    assert cli.main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(tr.graphs.MODELS) and all(len(line) < 160 for line in lines)


@pytest.mark.parametrize("name", catalogue.models())
def test_every_task_fits_its_model(name):
    task = tasks.task_of(catalogue.make(name))
    model = catalogue.make(name, **task.sizes)
    assert tasks.task_of(model) is task
    one, same = (task.make(np.random.default_rng(5), 4) for _ in range(2))
    assert set(tasks.given(model)) == set(one) - {"lengths"} and task.shown in model.system.quantities
    assert all((one[k] == same[k]).all() for k in one if k != "lengths")


def test_there_is_no_task_for_other_inputs():
    with pytest.raises(tr.Error, match="odd"):
        tasks.task_of(tr.equations("h[t] = tanh(W @ odd[t])\nloss = mean(h[t])", odd=2, h=3))


def test_the_folder_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(tr.Error, match="file"):
        pages.write_pages(tmp_path / "file" / "folder", ["rnn"])


@pytest.mark.parametrize("name", catalogue.models())
def test_the_pages_in_the_docs_show_the_models_as_they_are(name):
    page = Path(__file__).parents[1] / "docs" / "models" / f"{name}.md"
    text, model = page.read_text(encoding="utf-8"), catalogue.make(name)  # as the line of Python above makes it
    assert str(model) in text and model.latex() in text, "make them anew: tinygrad-rnn models --pages docs/models"
    for shown in re.findall(r"!\[[^]]+\]\(([^)]+)\)", text):
        assert (page.parent / shown).exists(), shown
