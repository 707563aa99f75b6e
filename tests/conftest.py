"""What the tests compute with, devices that they stand in for, and the browser of all that need one."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from typing import Any

import devices
import hypothesis
import pytest
from browsing import CHROMIUM, FLAGS, Browser

hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None)  # the same examples on any machine
hypothesis.settings.load_profile("fixed")
failed: list[str] = []  # of the test under way: its parts


def other_backend() -> bool:
    """Do the tests compute with something else than NumPy?"""
    return os.environ.get("TINYGRAD_RNN_BACKEND", "numpy") != "numpy"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--standin", action="store_true",
                     help="compute with the cupy backend on a stand-in for CuPy, which needs no GPU")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "device: looks at arrays of the backend itself, so results stay on the device")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes begin without it
    if config.getoption("--standin"):
        devices.use_standin()
    if other_backend():
        devices.bring_results_to_the_host()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    missing = devices.gpu_missing() if marked else ""
    for item in marked if missing else ():
        item.add_marker(pytest.mark.skip(reason=missing))
    for item in items if other_backend() else ():
        reason = devices.numpy_only(f"{item.path.name}::{item.name}")
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        failed.append(report.nodeid)


def pytest_runtest_logfinish() -> None:
    """One of several processes ends where the GPU answers it no more: what it has still to do is done by a new one."""
    if failed and "PYTEST_XDIST_WORKER" in os.environ and devices.broken():
        os._exit(1)
    failed.clear()


@pytest.fixture(autouse=True)
def _results(request: pytest.FixtureRequest) -> Iterator[None]:
    """Results of a test about the device stay there."""
    if request.node.get_closest_marker("device") is None:
        yield
        return
    with devices.left_on_the_device():
        yield


@pytest.fixture(autouse=True)
def _compiling() -> Iterator[None]:
    """A test that has plans compiled, or called, leaves those of the next as they were."""
    from tinygrad_rnn import jit  # not before it is known what computes

    before = dict(jit._switch)
    yield
    jit._switch.clear()
    jit._switch.update(before)


@pytest.fixture(scope="module")
def device() -> Iterator[Any]:
    """The device of the stand-in for CuPy, whose programs are launched and not captured."""
    from on_standin import settings, standin

    with standin() as found, settings(found, captures=False, loops="launched"):
        yield found


@pytest.fixture(scope="module")
def cp() -> Iterator[Any]:
    """The stand-in for CuPy as a module."""
    from on_standin import standin

    with standin():
        yield sys.modules["cupy"]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No word on backends from the environment."""
    for name in ("TINYGRAD_RNN_BACKEND", "TINYGRAD_RNN_PRECISION", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gpu(alone: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Takes arrays to the stand-in for CuPy, whose plans run call by call; the backend is NumPy until it is chosen."""
    from compiling import compiling
    from machines import cupy, only

    monkeypatch.syspath_prepend(devices.STANDIN)
    with only(), compiling(False):
        yield lambda a: cupy().asarray(a)


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
