"""The browser of all tests that need one."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from browsing import CHROMIUM, FLAGS, Browser


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
