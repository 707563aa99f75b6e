"""The page in a browser: colours, zoom, search, themes, names, and what it may not do."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from browsing import Browser
from pages import EXAMPLE, Run, model_of, run_of, scene_of
from pictured import HOSTILE, renamed

from tinygrad_rnn.viz.page.page import page


@pytest.fixture(scope="module")
def lstm() -> Run:
    return run_of("lstm", 4)


def test_backward_shows_the_way_and_the_size_of_gradients(browser: Browser, lstm: Run) -> None:
    browser.open(lstm.text)
    count = ("return ['ahead', 'back'].map(way => [...document.querySelectorAll('.flows > .' + way)]"
             ".filter(e => getComputedStyle(e).display !== 'none').length)")
    ahead, back = browser.do(count)
    assert ahead and not back
    place = "return [...arguments].map(e => parseFloat(e.style.getPropertyValue('--place')))"
    boxes = [browser.box(f"c⟨{t}⟩") for t in (1, 2, 3, 4)]
    found = browser.do(place, *boxes)
    rms = [np.sqrt((lstm.trace["c"][EXAMPLE, t].astype(float) ** 2).mean()) for t in range(4)]
    assert found == pytest.approx([100 * min(1, v) for v in rms], abs=0.1)
    browser.id("backward").click()
    ahead, back = browser.do(count)
    assert back and not ahead
    norms = [np.linalg.norm(lstm.trace[lstm.trace.adjoints["c"]][EXAMPLE, t]) for t in range(4)]
    assert np.argsort(browser.do(place, *boxes)).tolist() == np.argsort(norms).tolist()
    fill = "return getComputedStyle(arguments[0].querySelector('.frame')).fill"
    painted = browser.do(fill, boxes[0])
    browser.id("paint").click()
    assert browser.do(fill, boxes[0]) != painted


def test_zoom_and_pan(browser: Browser, lstm: Run) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    browser.open(lstm.text)
    box = "return document.getElementById('picture').getAttribute('viewBox').split(' ').map(Number)"
    picture, first = browser.id("picture"), browser.do(box)
    for act, narrower in ((lambda: browser.press("+"), True), (lambda: browser.press("-"), False),
                          (lambda: browser.id("in").click(), True), (lambda: browser.id("out").click(), False)):
        before = browser.do(box)
        act()
        assert (browser.do(box)[2] < before[2]) == narrower
    browser.do("arguments[0].dispatchEvent(new WheelEvent('wheel', {deltaY: -900, clientX: 700, clientY: 450, "
               "cancelable: true}))", picture)
    before = browser.do(box)
    assert before[2] < first[2] / 2
    ActionChains(browser.driver).move_to_element(picture).click_and_hold().move_by_offset(-90, 40).release().perform()
    after = browser.do(box)
    scale = browser.do("return arguments[0].getBoundingClientRect().width", picture) / after[2]
    assert [after[0] - before[0], after[1] - before[1]] == pytest.approx([90 / scale, -40 / scale], abs=0.5)
    browser.press("0")
    assert browser.do(box) == pytest.approx(first, abs=0.1)


def test_search(browser: Browser, lstm: Run) -> None:
    browser.open(lstm.text)
    browser.id("close").click()
    browser.press("/")
    browser.press("h")
    assert browser.id("count").text == "5 found"  # h⟨0⟩ and one for each step
    browser.press("\ue007", "\ue007", "\ue007")
    assert browser.id("count").text == "3 of 5: h⟨2⟩" and browser.card()["title"].startswith("h⟨2⟩")
    assert browser.box("h⟨2⟩").is_displayed()  # its cell was opened
    browser.id("find").clear()
    browser.id("find").send_keys("c[3]")
    assert browser.id("count").text == "1 found"
    browser.id("find").clear()
    browser.id("find").send_keys("TAR")
    assert browser.id("count").text == "4 found"
    browser.press("\ue00c")
    assert not browser.do("return document.querySelectorAll('.found').length")


def test_light_dark_and_print(browser: Browser, lstm: Run) -> None:
    browser.open(lstm.text)
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = browser.do(paper)
    browser.id("theme").click()
    dark = browser.do(paper)
    assert light == "rgb(255, 255, 255)" and dark == "rgb(20, 24, 29)"
    browser.id("close").click()
    cdp = browser.driver.execute_cdp_cmd
    try:
        cdp("Emulation.setEmulatedMedia", {"media": "print"})
        browser.do("dispatchEvent(new Event('beforeprint'))")
        assert browser.do(paper) == light and not browser.id("controls").is_displayed()
        assert browser.do("return document.querySelectorAll('.unit.open').length") == 4
        assert base64.b64decode(cdp("Page.printToPDF", {})["data"]).startswith(b"%PDF")
        browser.do("dispatchEvent(new Event('afterprint'))")
        cdp("Emulation.setEmulatedMedia", {"media": "", "features": [
            {"name": "prefers-color-scheme", "value": "dark"}]})
        assert not browser.do("return document.querySelectorAll('.unit.open').length")
        browser.open(lstm.text)
        assert browser.do(paper) == dark and browser.id("theme").get_attribute("aria-pressed") == "true"
        browser.id("theme").click()
        assert browser.do(paper) == light
    finally:
        cdp("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_hostile_names_are_shown_as_they_are(browser: Browser) -> None:
    names = dict(zip(("h", "y", "W", "x"), HOSTILE, strict=False))
    model = SimpleNamespace(system=renamed(model_of("rnn").system, names))
    browser.open(page(scene_of(model, 3), model.system))
    browser.hover(browser.box(HOSTILE[0]))
    assert HOSTILE[0] in browser.card()["equation"]
    assert browser.driver.title == HOSTILE[0]


def test_those_who_listen_hear_boxes_and_cells(browser: Browser, lstm: Run) -> None:
    browser.open(lstm.text)
    assert not browser.unheard({("image", "h⟨2⟩, state, 4"), ("button", "cell i, f, o, g, c, h, t = 2"),
                                ("slider", "step"), ("searchbox", "find"), ("radio", "backward")})


def test_the_page_cannot_call_out(driver: Any, lstm: Run, tmp_path: Any) -> None:
    browser = Browser(driver, tmp_path)
    browser.open(lstm.text)
    blocked = driver.execute_async_script("""const done = arguments[0];
        document.addEventListener('securitypolicyviolation', e => done(e.violatedDirective));
        const img = new Image(); img.src = 'http://127.0.0.1:9/x.png'; setTimeout(() => done('nothing'), 20000)""")
    assert blocked == "img-src"
    browser.problems()
