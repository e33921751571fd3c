"""A real browser for the tests of pages; they are skipped where it or its driver is absent."""

import atexit
import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import CHROMIUM


@functools.cache
def _browser() -> Any:
    """One for all tests of a process: each start takes a second."""
    driver = pytest.importorskip(
        "playwright.sync_api", reason="pip install -r requirements-dev.txt"
    )
    playwright = driver.sync_playwright().start()
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    atexit.register(playwright.stop)
    atexit.register(browser.close)
    return browser


@contextlib.contextmanager
def open_page(
    place: Path | str, width: int = 1100, height: int = 800, dark: bool = False
) -> Iterator:
    """A file or an address in headless chromium, as playwright's page. `page.errors` holds what the
    console complained of, `page.requests` the addresses that were asked for, from the first on."""
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: apt install chromium)")
    scheme: Any = "dark" if dark else "light"
    size: Any = {"width": width, "height": height}
    page = _browser().new_page(viewport=size, color_scheme=scheme)
    page.errors, page.requests = [], []
    page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(place.resolve().as_uri() if isinstance(place, Path) else place)
    yield page
    page.close()
