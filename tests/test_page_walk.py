"""The page in a browser: cells open and close, time goes on and back, cards tell what is there."""

from __future__ import annotations

import re

import numpy as np
import pytest
from browsing import Browser
from pages import EXAMPLE, Run, long_page, model_of, run_of, scene_of

from tinygrad_rnn.printing.printer import equation_text
from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.page.page import page
from tinygrad_rnn.viz.values import Values


@pytest.fixture(scope="module")
def lstm() -> Run:
    return run_of("lstm", 4)


def test_a_click_opens_and_closes_a_cell(browser: Browser, lstm: Run) -> None:
    browser.open(lstm.text)
    cell = browser.box("cell i, f, o, g, c, h, t = 2")
    inner = browser.box("h⟨2⟩")
    assert cell.get_attribute("role") == "button" and cell.get_attribute("aria-expanded") == "true"
    size = cell.size
    browser.click(cell, -size["width"] // 2 + 30, size["height"] // 2 - 12)
    assert cell.get_attribute("aria-expanded") == "false" and not inner.is_displayed()
    assert browser.box("h⟨3⟩").is_displayed()
    browser.click(cell)
    assert cell.get_attribute("aria-expanded") == "true" and inner.is_displayed()
    browser.id("close").click()
    assert not browser.do("return document.querySelectorAll('.unit.open').length")
    assert browser.do("return [...document.querySelectorAll('.shut text')].map(t => t.textContent)") == [
        f"c, h    t = {t}" for t in range(1, 5)]
    browser.id("open").click()
    assert browser.do("return document.querySelectorAll('.unit.open').length") == 4


def test_keys_open_cells_and_walk(browser: Browser, lstm: Run) -> None:
    browser.open(lstm.text)
    label = "return document.activeElement.getAttribute('aria-label')"
    for _ in range(20):
        browser.press("\ue004")  # Tab
        if browser.do("return document.activeElement.closest('svg') !== null"):
            break
    assert browser.do("return document.querySelectorAll('svg [tabindex=\"0\"]').length") == 1
    browser.do("arguments[0].focus()", browser.box("h⟨1⟩"))
    browser.press("\ue014", "\ue014", "\ue014")  # right: from all steps to the first, then on
    assert browser.do(label) == "h⟨3⟩, state, 4" and browser.card()["title"].startswith("h⟨3⟩")
    assert browser.id("step").get_attribute("value") == "3"
    browser.press("\ue012")
    assert browser.do(label) == "h⟨2⟩, state, 4"
    browser.press("\ue00c")  # Escape: to the cell
    assert browser.do(label) == "cell i, f, o, g, c, h, t = 2"
    for key, state in (("\ue007", "false"), (" ", "true")):
        browser.press(key)
        assert browser.do("return document.activeElement.getAttribute('aria-expanded')") == state
    browser.press("\ue013")
    above = browser.do(label)
    browser.press("\ue015")
    assert above != browser.do(label) == "cell i, f, o, g, c, h, t = 2"


@pytest.mark.parametrize("name", ["c", "i", "y"])
def test_the_card_tells_the_numbers_of_that_very_box(browser: Browser, lstm: Run, name: str) -> None:
    browser.open(lstm.text)
    for t in (1, 3):
        browser.hover(browser.box(f"{name}⟨{t}⟩"))
        card, value = browser.card(), lstm.trace[name][EXAMPLE, t - 1].astype(float)
        assert card["title"].startswith(f"{name}⟨{t}⟩") and card["shape"] == str(len(value))
        (eq,) = [eq for eq in lstm.model.system.equations if eq.name == name]
        assert card["equation"] == equation_text(eq)
        numbers = {k: [float(v) for v in card[k].replace("\u2212", "-").split(", ")]
                   for k in ("first", "rms", "min", "max")}
        assert numbers["first"] == pytest.approx(value, rel=1e-5)
        assert numbers["rms"] == pytest.approx([np.sqrt((value**2).mean())], rel=1e-5)
        assert [*numbers["min"], *numbers["max"]] == pytest.approx([value.min(), value.max()], rel=1e-5)
        if name in lstm.trace.adjoints:
            gradient = np.linalg.norm(lstm.trace[lstm.trace.adjoints[name]][EXAMPLE, t - 1].astype(float))
            assert float(card["norm"]) == pytest.approx(gradient, rel=1e-5)
    browser.hover(browser.id("fit"))
    assert browser.card() == {}


def test_initial_values_and_classes(browser: Browser, lstm: Run) -> None:
    browser.open(lstm.text)
    browser.hover(browser.box("h⟨0⟩"))
    assert browser.card()["equation"] == "zero, as no equation sets it" and "rms" not in browser.card()
    browser.hover(browser.box("target⟨2⟩"))
    assert browser.card()["kind"] == str(lstm.trace["target"][EXAMPLE, 1])
    browser.open(run_of("zoo_bidirectional", 3).text)
    browser.hover(browser.box("r⟨4⟩"))
    assert browser.card()["equation"] == "r[T+1] = r0"


def test_the_slider_walks_through_time(browser: Browser, lstm: Run) -> None:
    browser.open(lstm.text)
    slide = "const s = document.getElementById('step'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
    band = "const b = document.querySelector('.band').getBoundingClientRect(); return [b.left, b.right]"
    assert browser.later() == set()
    browser.do(slide, 2)
    assert browser.id("at").text == "t = 2 of 4"
    assert browser.id("step").get_attribute("aria-valuetext") == "t = 2 of 4"
    left, right = browser.do(band)
    cell = browser.do("return arguments[0].getBoundingClientRect()", browser.box("cell i, f, o, g, c, h, t = 2"))
    assert left < cell["left"] < cell["right"] < right
    later = browser.later()
    for t in (1, 2, 3, 4):
        assert (f"cell i, f, o, g, c, h, t = {t}" in later) == (f"y⟨{t}⟩, output, 3" in later) == (t > 2)
    assert "loss, loss, one number" in later and "h⟨0⟩, state, 4" not in later
    browser.press("b")
    assert browser.later() == {e for e in browser.later() if re.search("⟨[01]⟩|t = 1", e)} != set()
    browser.press("\ue014")
    assert browser.id("at").text == "t = 3 of 4"
    browser.press("\ue011")  # Home
    assert browser.id("at").text == "all" and browser.later() == set()
    browser.press("\ue012")
    assert browser.id("at").text == "t = 4 of 4"


def test_a_bidirectional_model_walks_both_ways(browser: Browser) -> None:
    model = model_of("bidirectional")
    for view in ("unrolled", "backward"):
        browser.open(page(scene_of(model, 4, view), model.system))
        browser.press("\ue014", "\ue014")
        later = {e.split(",")[0] for e in browser.later()}
        assert {e for e in later if e[:2] == "h1"} == {"h1⟨3⟩", "h1⟨4⟩"}
        assert {e for e in later if e[:2] == "r1"} == {"r1⟨1⟩"} and "loss" in later
        browser.press("b")
        later = {e.split(",")[0] for e in browser.later()}
        assert {e for e in later if e[:2] == "h1"} == {"h1⟨0⟩", "h1⟨1⟩"}
        assert {e for e in later if e[:2] == "r1"} == {"r1⟨3⟩", "r1⟨4⟩", "r1⟨5⟩"} and "loss" not in later


def test_all_ranges_are_walked_through_one_after_another(browser: Browser) -> None:
    model = model_of("attention")
    browser.open(page(make_scene(model, "unrolled", steps={"s": 3, "t": 2}, elide=False), model.system))
    said, later = [], []
    for _ in range(5):
        browser.press("\ue014")
        said.append(browser.id("at").text)
        later.append({e.split(",")[0] for e in browser.later()})
    assert said == ["s = 1 of 3", "s = 2 of 3", "s = 3 of 3", "t = 1 of 2", "t = 2 of 2"]
    encoder, decoder = browser.do("const [a, b] = arguments; return [a, b].map(e => e.getBoundingClientRect().top)",
                                  browser.box("x⟨1⟩"), browser.box("y⟨1⟩"))
    assert encoder > decoder
    assert "x⟨2⟩" in later[0] and "x⟨2⟩" not in later[1]
    assert {"y⟨1⟩", "y⟨2⟩"} <= later[2] and "x⟨3⟩" not in later[2]
    assert "y⟨1⟩" not in later[3] and "y⟨2⟩" in later[3]
    browser.press("b")  # backward in time, all of s comes after t = 2
    assert {f"x⟨{s}⟩" for s in (1, 2, 3)} <= {e.split(",")[0] for e in browser.later()}


def test_steps_left_out_are_stepped_over(browser: Browser) -> None:
    model = model_of("rnn")
    browser.open(page(make_scene(model, "unrolled", steps=20, elide=True), model.system))
    for at in (1, 2, 20, 20):
        browser.press("\ue014")
        assert browser.id("at").text == f"t = {at} of 20"
    browser.press("\ue012")
    assert browser.id("at").text == "t = 2 of 20"


def test_two_hundred_steps_open_and_are_walked_through(browser: Browser) -> None:
    browser.open(long_page())
    browser.id("open").click()
    browser.press("\ue010")  # End
    assert browser.id("at").text == "t = 200 of 200"
    assert browser.box("h2⟨200⟩").is_displayed() and not browser.box("h2⟨1⟩").is_displayed()


@pytest.mark.parametrize("name", ["rnn", "attention", "zoo_reductions", "zoo_no_recurrence",
                                  "zoo_two_dimensional", "made_up"])
def test_every_kind_of_model_can_be_walked_through(browser: Browser, name: str) -> None:
    """By every key and over every box without an error; `browser` sees to that."""
    run = run_of(name, 3)
    values = Values(run.model.system, run.trace)
    for view in ("unrolled", "backward", "folded"):
        browser.open(page(scene_of(run.model, 3, view), run.model.system, values))
        assert browser.do("return 'ready' in document.documentElement.dataset")
        browser.press("\ue014", "\ue014", "b", "\ue012", "\ue015", "\ue013", "\ue010", "+", "0")
        browser.do("""for (const e of document.querySelectorAll('.box,.panel')) { e.focus();
            for (const key of ['ArrowRight', 'ArrowUp', 'ArrowLeft', 'ArrowDown', 'Enter', 'Enter', 'Escape'])
                document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true})); }""")
