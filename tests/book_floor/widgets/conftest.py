"""What the widgets' tests share: a widget's module under Node, and pages with widgets in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfbc_core.book.widgets.book_widget import load_module

NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

RUNNER = """
import * as explorer from %s;
import { readFileSync } from "node:fs";
const given = JSON.parse(readFileSync(0, "utf8"));
const evaluate = new Function("explorer", "given", "return " + given.expression);
const plain = (key, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
console.log(JSON.stringify(evaluate(explorer, given.values), plain));
"""

PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Explorers</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>Explorers</h1>{fragments}</main></body></html>
"""


@pytest.fixture(scope="module")
def node_module(tmp_path_factory) -> Callable[..., Callable[..., Any]]:
    """Evaluate JavaScript expressions of `explorer`, a widget's module, and `given`, the values that Python passes."""
    if NODE is None:
        pytest.skip("node is not installed")

    def load(*names: str) -> Callable[..., Any]:
        folder = tmp_path_factory.mktemp("node")
        module = folder / "explorer.mjs"  # the ending tells Node that it is an ECMAScript module
        module.write_text(load_module(*names), encoding="utf-8")
        runner = folder / "runner.mjs"
        runner.write_text(RUNNER % json.dumps(module.as_uri()), encoding="utf-8")

        def call(expression: str, **values: Any) -> Any:
            listed = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in values.items()}
            message = json.dumps({"expression": expression, "values": listed})
            done = subprocess.run([NODE, str(runner)], input=message, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        return call

    return load


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory, fragments: list[str]) -> dict[str, Path]:
    """One page for each theme with the module's `fragments`, the HTML of its widgets."""
    folder = tmp_path_factory.mktemp("pages")
    pages = {theme: folder / f"{theme}.html" for theme in ("light", "dark")}
    for theme, path in pages.items():
        path.write_text(PAGE.format(theme=theme, fragments="".join(fragments)), encoding="utf-8")
    return pages


@pytest.fixture
def open_page(browser, files, fragments) -> Iterator[Callable[..., Any]]:
    """Open the page in a theme; at the end, nothing may have failed or been fetched from elsewhere."""
    from playwright.sync_api import expect

    requests, errors, contexts = [], [], []

    def open_in(theme: str = "light", width: int = 1000, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(files[theme].as_uri())
        if options.get("java_script_enabled", True):
            expect(page.locator('.sfbc-explorer[data-ready="true"]')).to_have_count(len(fragments))
        return page

    yield open_in
    for context in contexts:
        context.close()
    assert not errors
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests), requests
