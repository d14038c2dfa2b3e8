"""Every page of the built book in a real browser: accessible in light and dark, whole on a phone, with no network."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Chromium in a container: no sandbox for root, and none of its own calls home, which would count as requests outside.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

UNFOLD = """() => {
    document.querySelectorAll("details").forEach(element => element.open = true);
    document.querySelectorAll(".toggle-hidden").forEach(element => element.classList.remove("toggle-hidden"));
}"""
CODE_IS_REACHABLE = """() =>
    [...document.querySelectorAll("pre")].every(code => code.scrollWidth <= code.clientWidth || code.tabIndex === 0)
"""
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def book_pages():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *chapters, "search"]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site():
    """The address of a server on the built book."""
    assert (HTML / "index.html").exists(), "there is no built book: run 'make book' first"
    handler = functools.partial(QuietHandler, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    assert program, f"no browser: expected one of {', '.join(BROWSERS)} on the PATH"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, site):
    """Open a page; what it asked other servers for and the errors of its scripts are kept in `outside` and `errors`."""
    contexts = []

    def open_page(name, **options):
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", book_pages())
def test_page_is_accessible_and_needs_no_network(visit, name, scheme):
    page = visit(name, color_scheme=scheme)
    assert page.locator("html").get_attribute("data-theme") == scheme, "the page does not follow the reader's choice"
    # Folded parts fade in when they are opened; on a busy machine axe would measure them half-way, all but white on white.
    page.add_style_tag(content="*, *::before, *::after { animation: none !important; transition: none !important; }")
    page.evaluate(UNFOLD)  # a folded answer must be accessible too
    # Code that scrolls sideways must be reachable by keyboard: book/_static/sfbc.js sees to that once it has been laid out.
    page.wait_for_function(CODE_IS_REACHABLE)
    # WCAG 2.2 at level AA: axe's further advice concerns the theme's layout, which is not ours.
    # Without preloading: axe would fetch the style sheets again and look for what they import in the wrong folder.
    results = Axe().run(page, options={"preload": False, "runOnly": WCAG})
    assert not page.outside, "asked other servers"
    assert not page.errors, "errors on the page"
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("name", book_pages())
def test_page_fits_a_narrow_screen(visit, name):
    page = visit(name, viewport={"width": 320, "height": 640})
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 320, f"the page scrolls sideways: {width} pixels wide"


def test_search_works_without_a_network(visit):
    page = visit("search")
    page.goto(page.url + "?q=candidates")
    page.locator("#search-results li a").first.wait_for()
    assert not page.outside
