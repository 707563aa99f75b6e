"""The page to walk through: what it tells, that it tells it rightly, and how it behaves in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from fnmatch import fnmatch
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zoo
from test_viz import HOSTILE, TEXTS, renamed

import tinygrad_rnn as tr
from tinygrad_rnn.printer import equation_text
from tinygrad_rnn.viz.api import make_scene
from tinygrad_rnn.viz.lines import path
from tinygrad_rnn.viz.page import PROGRAM, SHEET, page
from tinygrad_rnn.viz.page_parts import column_index, parts_of
from tinygrad_rnn.viz.page_theme import DARK_INK, DARK_PAPER, dark_fill, dark_line
from tinygrad_rnn.viz.scene import Mark, Scene, Shape
from tinygrad_rnn.viz.style import LINES, ROLE_FILL
from tinygrad_rnn.viz.values import Values

EXAMPLE = 1
ALL = {**TEXTS, **{f"zoo_{name}": found for name, found in zoo.MODELS.items()}}


def model_of(name: str, dtype: str = "float32") -> tr.Model:
    text, sizes = ALL[name]
    return tr.equations(text, name=name, dtype=dtype, **sizes)


def scene_of(model: Any, steps: int, view: str = "unrolled") -> Scene:
    return make_scene(model, view, steps=steps, elide=False)


class Run(SimpleNamespace):
    """A model, what a run of it gave, and the page."""

    model: tr.Model
    trace: Any
    text: str


def run_of(name: str, steps: int, spoil: Any = None) -> Run:
    model = model_of(name)
    trace = model.trace(zoo.data(model, 2, {i: steps for i in zoo.dynamic(model)}))
    if spoil:
        spoil(trace)
    values = Values(model.system, trace, example=EXAMPLE)
    return Run(model=model, trace=trace, text=page(scene_of(model, steps), model.system, values))


class Reader(HTMLParser):
    """The elements of a page, and the text of those that are not shown as text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside.append("")

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1]:
            self.texts[self.inside[-1]][-1] += data

    @property
    def data(self) -> dict[str, Any]:
        def refuse(word: str) -> Any:
            raise AssertionError(f"{word} is not JSON")

        return json.loads(self.texts["script"][0], parse_constant=refuse)


# -- the text --------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["unrolled", "backward", "folded"])
def test_the_page_needs_nothing_and_runs_nothing_but_its_own(view: str) -> None:
    model = model_of("lstm")
    text = page(scene_of(model, 3, view), model.system)
    assert text == page(scene_of(model_of("lstm"), 3, view), model.system)
    reader = Reader(text)
    for tag, attrs in reader.tags:
        assert tag not in ("img", "iframe", "object", "embed", "base"), tag
        assert not [a for a in attrs if a.startswith("on") or a in ("style", "src", "action")], (tag, attrs)
        assert (attrs.get("href") or "data:").startswith("data:")
    (policy,) = [a["content"] for t, a in reader.tags if t == "meta" and "http-equiv" in a]
    assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy
    data, program = reader.texts["script"]
    for own in (program, *reader.texts["style"]):
        assert base64.b64encode(hashlib.sha256(own.encode()).digest()).decode() in policy
    assert not re.search(r"\beval\(|new Function|innerHTML|document\.write|https?://(?!www\.w3\.org/2000/svg)", program)
    assert not re.search(r"@import|url\(", reader.texts["style"][0])
    json.loads(data)


def test_the_package_takes_the_program_along() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    patterns = re.search(r'^"tinygrad_rnn\.viz" = \[(.*)\]$', text, re.MULTILINE)
    assert patterns is not None
    for name in (*PROGRAM, SHEET):
        assert any(fnmatch(name, pattern) for pattern in re.findall(r'"(.*?)"', patterns[1])), name


def test_every_control_has_a_name() -> None:
    model = model_of("lstm")
    text = page(scene_of(model, 3), model.system)
    for name in re.findall(r"<button[^>]*?id=\"(\w+)\"", text):
        found = re.search(rf'<button[^>]*id="{name}"([^>]*)>([^<]*)<', text)
        assert found and (re.search(r"\w", found[2].replace("&minus;", "")) or "aria-label=" in found[1]), name
    for name in re.findall(r"<input[^>]*?id=\"(\w+)\"", text):
        assert re.search(rf'<label[^>]*>[^<]*<input[^>]*id="{name}"[^>]*>', text), name
    assert 'id="card" role="status" aria-live="polite"' in text


def test_hostile_names_are_escaped() -> None:
    names = dict(zip(("h", "y", "W", "x", "target"), [*HOSTILE[:3], "a\u2028b\u2029</SCRIPT >&lt;", HOSTILE[4]],
                     strict=True))
    model = SimpleNamespace(system=renamed(model_of("rnn").system, names))
    text = page(scene_of(model, 3), model.system)
    plain, hostile = (Reader(page(scene_of(m, 3), m.system)) for m in (model_of("rnn"), model))
    assert [tag for tag, _ in plain.tags] == [tag for tag, _ in hostile.tags]
    assert hostile.texts["h1"] == [HOSTILE[0]]
    assert HOSTILE[0] in [q[0] for q in hostile.data["quantities"]]
    assert not {"\u2028", "\u2029", "\x00", "\x1b", "\ud800", "\uffff"} & set(text)
    assert not re.search(r"[<>&]", hostile.texts["script"][0])
    text.encode("utf-8")


# -- the picture -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_everything_in_the_scene_is_told(name: str) -> None:
    """Boxes at their places with their labels, and wires from their starts; each once."""
    model = model_of(name)
    for view in ("unrolled", "backward", "folded"):
        scene = scene_of(model, 3, view)
        data = Reader(page(scene, model.system)).data
        boxes: list[tuple[float, ...]] = []
        starts: list[tuple[float, float]] = []
        labels: Counter[str] = Counter()
        for number, written, x, y, *_ in data["units"]:
            drawing, words = data["drawings"][number], iter(data["written"][written])
            panels = [drawing["panel"]] if "panel" in drawing else []
            for _, dx, dy, w, h, *rest in [*drawing["boxes"], *panels]:
                boxes.append((x + dx, y + dy, w, h))
                labels.update(_string(data["labels"][next(words)]) for _ in rest[2])
            for line in drawing.get("lines", ()):
                starts += [(x + a, y + b) for a, b in _starts(data["lines"][line][4])]
        for line, x, y, *_ in data["wires"]:
            starts += [(x + a, y + b) for a, b in _starts(data["lines"][line][4])]
        shapes = [*scene.panels, *scene.shapes]
        _same(boxes, [(s.x, s.y, s.w, s.h) for s in shapes])
        _same(starts, [path(w.points)[0].points[0] for w in scene.wires])
        assert labels == Counter(_string_of(label) for s in shapes for label in (s.label, *s.lines) if label)
        notes = len(data["notes"]) + sum(len(data["drawings"][u[0]].get("notes", ())) for u in data["units"])
        assert notes == len(scene.notes)


def _starts(d: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", d)]


def _same(found: list[Any], wanted: list[Any]) -> None:
    assert len(found) == len(wanted)
    if wanted:
        apart = np.abs(np.array(found)[:, None] - np.array(wanted)[None]).max(axis=-1)
        assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < 0.05


def _string(label: list[Any]) -> str:
    return "".join(s if isinstance(s, str) else s[0] for s in label)


def _string_of(label: Any) -> str:
    return "".join(s.text for s in label)


@pytest.mark.parametrize("name", ["lstm2", "bidirectional", "attention", "zoo_two_dimensional", "zoo_static_index"])
def test_steps_are_columns(name: str) -> None:
    """Boxes of one step stand above each other, those of the next to their right."""
    model = model_of(name)
    found = parts_of(scene_of(model, 4), model.system)
    assert found.steps == 4
    middle: dict[int, list[float]] = {}
    for part in found.parts:
        if part.step is not None:
            middle.setdefault(part.step, []).append(part.body.centre[0])
    steps = sorted(middle)
    assert set(range(1, 5)) <= set(steps) <= set(range(6))
    for before, after in pairwise(steps):
        assert max(middle[before]) < min(middle[after])


def test_the_columns_are_those_that_stand_above_each_other() -> None:
    system = model_of("attention").system
    decoder = [(Mark("q", (("t", k),)), 100.0 * k) for k in (1, 2, 3)]
    below, beside = ([(Mark("k", (("s", k),)), x * k) for k in (1, 2)] for x in (110.0, 40.0))
    assert column_index([*decoder, *below], system) == ("t", {"s"})
    assert column_index([*decoder, *beside], system) == ("t", set())
    lattice = [(Mark("h", (("i", i), ("j", j))), 50.0 * j) for i in (1, 2, 3) for j in (1, 2, 3)]
    assert column_index(lattice, model_of("zoo_two_dimensional").system) == ("j", set())
    assert column_index([(Mark("W"), 1.0)], system) == ("", set())


def test_patches_are_painted_below_and_told() -> None:
    """A heat map beside the picture: boxes among the panels, in colours of their own, each with what it shows."""
    run = run_of("attention", 3)
    scene = scene_of(run.model, 3)
    patches = [Shape("box", scene.width + 20 * s, 20.0 * t, 20, 20, "swatch", fill="#ABCDEF",
                     mark=Mark("a", (("t", t), ("s", s)))) for t in (1, 2, 3) for s in (1, 2, 3)]
    wide = replace(scene, width=scene.width + 100, panels=[*patches, *scene.panels])
    data = Reader(page(wide, run.model.system, Values(run.model.system, run.trace, example=EXAMPLE))).data
    below = [u for u in data["units"] if data["drawings"][u[0]]["below"]]
    assert len(below) == 9 and all(data["drawings"][u[0]]["boxes"][0][-1] == "#ABCDEF" for u in below)
    told = [data["values"][u[4][0]]["first"][0] for u in below]
    assert np.array(told, "float32").reshape(3, 3).tolist() == run.trace["a"][EXAMPLE].tolist()
    assert data["steps"] == 3


def test_cells_are_told_once() -> None:
    model = model_of("lstm2")
    few, many = (Reader(page(scene_of(model, t), model.system)).data for t in (6, 12))
    assert len(many["drawings"]) == len(few["drawings"]) < 12 and len(many["units"]) > 1.8 * len(few["units"])


@pytest.fixture(scope="module")
def long() -> str:
    """Two layers at the level of gates, two hundred steps, with values."""
    return run_of("lstm2", 200).text


def test_a_long_page_stays_small(long: str) -> None:
    assert len(long.encode()) < 2_500_000
    assert Reader(long).data["steps"] == 200


def test_roles_stay_apart_in_the_dark() -> None:
    fills = {role: dark_fill(style) for role, style in ROLE_FILL.items()}
    for fill in fills.values():
        assert _contrast(fill, DARK_INK) > 7
    for line in LINES.values():
        assert _contrast(dark_line(line.colour), DARK_PAPER) > 4.5
    assert _contrast(dark_line("#C9DEDC"), DARK_PAPER) < 3  # hardly there by day
    both_red = {"loss", "squashed"}  # by day too
    pairs = [(a, b) for a in fills for b in fills if a < b and {a, b} != both_red]
    assert min(np.abs(_rgb(fills[a]) - _rgb(fills[b])).sum() for a, b in pairs) >= 30


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)], dtype=float)


def _contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        c = _rgb(colour) / 255
        return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


# -- the numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lstm2", "bidirectional", "attention", "zoo_static_index", "zoo_two_dimensional"])
def test_numbers_are_those_of_the_run(name: str) -> None:
    """Read by hand from the run's arrays, at the very position; exact where nothing is computed."""
    run = run_of(name, 4)
    data, seen = Reader(run.text).data, 0
    for (which, *positions), told in zip(data["marks"], data["values"], strict=True):
        name = data["quantities"][which][0]
        q = run.model.system.quantities[name]
        inside = all(p is None or p >= 1 for p in positions) and all(
            p is None or p <= run.trace[name].shape[1 + k] for k, p in enumerate(positions))
        if not inside:
            assert told is None
            continue
        key = (*([EXAMPLE] if q.batched or q.role == "input" else []),
               *(slice(None) if p is None else p - 1 for p in positions))
        value = run.trace[name][key]
        if value.dtype.kind == "i":
            assert told == {"kind": int(value)}
            continue
        seen += 1
        assert [value.dtype.type(v) for v in told["first"]] == list(value.ravel()[: len(told["first"])])
        assert value.dtype.type(told["min"]) == value.min() and value.dtype.type(told["max"]) == value.max()
        assert told["rms"] == pytest.approx(np.sqrt((value.astype(float) ** 2).mean()), rel=1e-8)
        assert told["n"] == value.size
        if name in run.trace.adjoints:
            gradient = run.trace[run.trace.adjoints[name]][key]
            assert told["norm"] == pytest.approx(np.sqrt((gradient.astype(float) ** 2).sum()), rel=1e-8, abs=1e-30)
        else:
            assert "norm" not in told
    assert seen > 8


def test_numbers_that_are_not_finite_are_told() -> None:
    def spoil(trace: dict[str, np.ndarray]) -> None:
        trace["h"] = trace["h"].copy()
        trace["h"][EXAMPLE, 1] = np.nan, np.inf, 1, 2

    run = run_of("lstm", 3, spoil=spoil)
    data = Reader(run.text).data
    (found,) = [v for m, v in zip(data["marks"], data["values"], strict=True)
                if data["quantities"][m[0]][0] == "h" and m[1] == 2]
    assert found["first"] == ["nan", "inf", 1, 2] and found["rms"] == "nan" and found["v"] == -1


def test_what_is_told_of_a_quantity() -> None:
    model = model_of("lstm")
    data = Reader(page(scene_of(model, 3), model.system)).data
    assert data["values"] == [] and data["index"] == "t"
    told = {q[0]: q for q in data["quantities"]}
    (main,) = [eq for eq in model.system.equations if eq.name == "c"]
    assert told["c"][2:] == ["state", ["t"], [4], [[[], equation_text(main)]]]
    assert _string(data["labels"][told["c"][1]]) == "c" and told["loss"][2] == "loss"
    model = model_of("zoo_bidirectional")
    told = {q[0]: q for q in Reader(page(scene_of(model, 3), model.system)).data["quantities"]}
    assert [slots for slots, _ in told["r"][5]] == [[], [["last", 1]]]


def test_gradients_flow_back_where_the_model_has_them() -> None:
    """Of the wires between units, all but those of inputs carry a gradient."""
    model = model_of("lstm")
    scene = scene_of(model, 3)
    data = Reader(page(scene, model.system)).data
    for number, *_ in data["wires"]:
        kind, *_, back, _ = data["lines"][number]
        assert bool(back) == (kind != "input")
    twins = Reader(page(scene_of(model, 3, "backward"), model.system)).data
    assert twins["twins"] and not any(line[6] for line in twins["lines"])


# -- in a browser ----------------------------------------------------------------------------------

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--window-size=1400,900")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """A page in headless Chromium."""

    def __init__(self, driver: Any, folder: Any):
        self.driver, self.folder = driver, folder

    def open(self, text: str) -> None:
        file = self.folder / "page.html"
        file.write_text(text, encoding="utf-8")
        self.driver.get(file.as_uri())

    def do(self, script: str, *args: Any) -> Any:
        return self.driver.execute_script(script, *args)

    def box(self, start: str) -> Any:
        """The box that is called so for those who listen."""
        found = self.do("return [...document.querySelectorAll('.box,.panel')].find("
                        "e => e.getAttribute('aria-label').startsWith(arguments[0]))", start)
        assert found is not None, start
        return found

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def hover(self, element: Any) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).move_to_element(element).perform()

    def click(self, element: Any, dx: int = 0, dy: int = 0) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).move_to_element_with_offset(element, dx, dy).click().perform()

    def id(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def card(self) -> dict[str, str]:
        """What the card tells, {} where there is none."""
        return self.do("""const card = document.getElementById('card');
            return card.hidden ? {} : Object.fromEntries([['title', card.querySelector('h2').textContent],
                ...[...card.querySelectorAll('dd')].map(dd => [dd.className, dd.textContent])])""")

    def later(self) -> set[str]:
        """What is faded: the names of boxes outside cells, and of cells."""
        return set(self.do("return [...document.querySelectorAll('.unit.later > .box, .unit.later > .panel')]"
                           ".map(e => e.getAttribute('aria-label'))"))

    def problems(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> set[str]:
        """What the page asked for; not what the browser's own first page did."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return {p["request"]["url"] for p in sent if p["documentURL"].startswith("file:")}


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Any:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromedriver = shutil.which("chromedriver")
    if CHROMIUM is None or chromedriver is None:
        pytest.skip("Chromium and its driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield found
    found.quit()


@pytest.fixture
def browser(driver: Any, tmp_path: Any) -> Any:
    """A browser in which nothing may go wrong: no error on the console, no request but for the page itself."""
    found = Browser(driver, tmp_path)
    driver.get_log("performance")
    yield found
    assert found.problems() == []
    requests = found.requests()
    assert any(r.endswith("/page.html") for r in requests)
    assert {r for r in requests if not r.startswith(("file:", "data:"))} == set()


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


def test_notes_fade_with_their_wires() -> None:
    """A weight's name stands at the wire that it multiplies: in the bidirectional model one to each step's wire."""
    model = model_of("bidirectional")
    found = parts_of(scene_of(model, 4), model.system)
    names = {"U_1": "h1", "R_1": "r1", "U_2": "h2", "R_2": "r2"}
    told = [("".join(s.text for s in n.label), found.wires[k][0].mark) for n, k in found.notes if k is not None]
    assert len(told) == len(found.notes) == 4 * 4
    assert all(mark is not None and mark.name == names[f"{w[0]}_{w[-1]}"] for w, mark in told)


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


def test_those_who_listen_hear_boxes_and_cells(browser: Browser, lstm: Run) -> None:
    browser.open(lstm.text)
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    heard = {(n["role"]["value"], n["name"]["value"]) for n in nodes if n.get("name", {}).get("value")}
    assert {("image", "h⟨2⟩, state, 4"), ("button", "cell i, f, o, g, c, h, t = 2"), ("slider", "step"),
            ("searchbox", "find"), ("radio", "backward")} <= heard


def test_steps_left_out_are_stepped_over(browser: Browser) -> None:
    model = model_of("rnn")
    browser.open(page(make_scene(model, "unrolled", steps=20, elide=True), model.system))
    for at in (1, 2, 20, 20):
        browser.press("\ue014")
        assert browser.id("at").text == f"t = {at} of 20"
    browser.press("\ue012")
    assert browser.id("at").text == "t = 2 of 20"


def test_two_hundred_steps_open_and_are_walked_through(browser: Browser, long: str) -> None:
    browser.open(long)
    browser.id("open").click()
    browser.press("\ue010")  # End
    assert browser.id("at").text == "t = 200 of 200"
    assert browser.box("h2⟨200⟩").is_displayed() and not browser.box("h2⟨1⟩").is_displayed()


def test_the_page_cannot_call_out(driver: Any, lstm: Run, tmp_path: Any) -> None:
    browser = Browser(driver, tmp_path)
    browser.open(lstm.text)
    blocked = driver.execute_async_script("""const done = arguments[0];
        document.addEventListener('securitypolicyviolation', e => done(e.violatedDirective));
        const img = new Image(); img.src = 'http://127.0.0.1:9/x.png'; setTimeout(() => done('nothing'), 2000)""")
    assert blocked == "img-src"
    browser.problems()
