"""A page in a real browser, for tests."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from typing import Any

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

    def unheard(self, expected: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """What those who listen do not hear of these roles and names, once the browser had time to say them all."""
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.wait import WebDriverWait

        missing = set(expected)

        def all_heard(driver: Any) -> bool:
            nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
            missing.difference_update((n["role"]["value"], n["name"]["value"])
                                      for n in nodes if "value" in n.get("name", {}))
            return not missing

        with suppress(TimeoutException):
            WebDriverWait(self.driver, 30).until(all_heard)
        return missing

    def problems(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> set[str]:
        """What the page asked for; not what the browser's own first page did."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return {p["request"]["url"] for p in sent if p["documentURL"].startswith("file:")}
