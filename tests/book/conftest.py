"""What the tests of the built pages share: a server, a browser, and a page opened in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from built_book import served_book, started_browser
from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a server on the built book."""
    with served_book() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Callable[..., Page]]:
    """Open a page; what it asked other servers for and the errors of its scripts are kept in `outside` and `errors`."""
    contexts = []

    def open_page(name: str, **options: object) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.outside, page.errors = [], []
        local = (site, "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(local) or page.outside.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("response", lambda response: response.ok or page.errors.append(f"{response.status} {response.url}"))
        page.goto(f"{site}{name}.html")
        page.evaluate("window.MathJax?.startup?.promise")  # formulas are set after loading, and change the layout
        return page

    yield open_page
    for context in contexts:
        context.close()
