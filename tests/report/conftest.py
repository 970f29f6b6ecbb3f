"""One browser for the tests of a page."""

from collections.abc import Iterator
from shutil import which

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from report.chromium import look

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser with a profile of its own."""
    options = ChromeOptions()
    options.binary_location = which("chromium") or ""
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with Chrome(options, ChromeService(which("chromedriver"))) as driver:
        yield driver


@pytest.fixture
def browser(driver: Chrome, address: str) -> Chrome:
    """The page at `address` as it is when it was opened, on a desk, in the light."""
    look(driver, 1280, "light")
    driver.get("about:blank")
    driver.get(address)
    return driver
