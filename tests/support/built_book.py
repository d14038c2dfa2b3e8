"""The built book, and a browser to look at it with."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Chromium in a container: no sandbox for root, and none of its own calls home, which would count as requests outside.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

UNFOLD = """() => {
    document.querySelectorAll("details").forEach(element => element.open = true);
    document.querySelectorAll(".toggle-hidden").forEach(element => element.classList.remove("toggle-hidden"));
}"""


def written_pages() -> list[str]:
    """The pages in the table of contents, as their addresses begin."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served_book() -> Iterator[str]:
    """The address of a server on the built book."""
    assert (HTML / "index.html").exists(), "there is no built book: run 'make book' first"
    handler = functools.partial(QuietHandler, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Chromium or Chrome, whichever this machine has."""
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        pytest.fail(f"no browser: expected one of {', '.join(BROWSERS)} on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()
