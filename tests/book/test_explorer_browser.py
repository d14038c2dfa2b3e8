"""The explorers where readers meet them: on the static pages of the built book, and live in JupyterLab."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from built_book import HTML, ROOT
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.book

CHAPTERS = ("notebooks/05_selecting_from_candidates", "notebooks/08_bidirectional_car")
VALUES_CHAPTER = "notebooks/07_why_planning_works"
DIFFUSION_CHAPTER = "notebooks/03_few_step_sampling"


def pictures(explorer: Locator) -> list[str]:
    return [canvas.evaluate("canvas => canvas.toDataURL()") for canvas in explorer.locator("canvas").all()]


def changed(before: list[str], after: list[str]) -> bool:
    """Whether every picture changed."""
    return all(a != b for a, b in zip(before, after, strict=True))


# ---- the static pages ----


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_sliders_work_on_the_static_page(browser, site, chapter, scheme):
    assert (HTML / f"{chapter}.html").exists(), f"{chapter} is not in the built book: run 'make book' first"
    outside, errors = [], []
    with browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.on(
            "request", lambda request: request.url.startswith((site, "data:", "blob:")) or outside.append(request.url)
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{site}{chapter}.html")
        page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
        explorers = page.locator(".sfbc-explorer")
        expect(explorers.first).to_be_attached()
        for explorer in explorers.all():
            explorer.scroll_into_view_if_needed()
            expect(explorer).to_have_attribute("data-ready", "true")
            expect(explorer).to_have_attribute("data-dark", "true" if scheme == "dark" else "false")
            check_sliders(explorer)
    assert not outside, "asked other servers"
    assert not errors, "errors on the page"


def check_sliders(explorer: Locator) -> None:
    """Move α from 0 to its largest value, and M from 1 to all candidates: each time all pictures change."""
    alpha, count = explorer.get_by_label("Inverse temperature α"), explorer.get_by_label("Candidates M")
    count.press("End")
    for select in explorer.get_by_label("The map shows").all():
        select.select_option("mean")  # the map of the greedy action does not depend on α
        expect(explorer).to_have_attribute("data-map-mode", "mean")
    alpha.press("Home")
    expect(explorer).to_have_attribute("data-alpha", "0")
    uniform = pictures(explorer)
    alpha.press("End")
    expect(alpha).not_to_have_attribute("aria-valuetext", "alpha 0")
    expect(explorer).not_to_have_attribute("data-alpha", "0")
    greedy = pictures(explorer)
    assert changed(uniform, greedy)

    alpha.press("Home")
    expect(explorer).to_have_attribute("data-alpha", "0")
    count.press("Home")
    expect(explorer).to_have_attribute("data-num-candidates", "1")
    assert changed(uniform, pictures(explorer))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_map_follows_the_arrow_keys_on_the_static_page(browser, site, chapter):
    assert (HTML / f"{chapter}.html").exists(), f"{chapter} is not in the built book: run 'make book' first"
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{site}{chapter}.html")
        page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
        expect(page.locator(".sfbc-explorer").first).to_have_attribute("data-ready", "true")
        address = page.url
        for chart in page.get_by_role("application").all():
            explorer = page.locator(".sfbc-explorer").filter(has=chart)
            chart.press("Home")
            expect(explorer).to_have_attribute("data-x-index", "0")
            before = pictures(explorer)
            chart.press("ArrowRight")
            expect(explorer).to_have_attribute("data-x-index", "1")
            assert changed(before, pictures(explorer))
        assert page.url.partition("#")[0] == address  # the theme turns pages with the arrow keys


def test_values_spread_on_the_static_page(browser, site):
    assert (HTML / f"{VALUES_CHAPTER}.html").exists(), f"{VALUES_CHAPTER} is not in the book: run 'make book' first"
    outside, errors = [], []
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.on(
            "request", lambda request: request.url.startswith((site, "data:", "blob:")) or outside.append(request.url)
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{site}{VALUES_CHAPTER}.html")
        explorer = page.locator(".sfbc-explorer")
        explorer.scroll_into_view_if_needed()
        expect(explorer).to_have_attribute("data-ready", "true")
        sliders = explorer.get_by_role("slider").all()
        assert len(sliders) == 3  # K, α and slip
        for slider in sliders:
            before = pictures(explorer)
            at = explorer.get_attribute("data-position")
            slider.press("Home")
            slider.press("End")
            expect(explorer).not_to_have_attribute("data-position", at)
            assert changed(before, pictures(explorer))
        targets = set()
        for option in explorer.get_by_role("combobox").locator("option").all():
            explorer.get_by_role("combobox").select_option(value=option.get_attribute("value"))
            targets.add(pictures(explorer)[0])
        assert len(targets) > 1
    assert not outside, "asked other servers"
    assert not errors, "errors on the page"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_samples_flow_on_the_static_page(browser, site, scheme):
    assert (HTML / f"{DIFFUSION_CHAPTER}.html").exists(), (
        f"{DIFFUSION_CHAPTER} is not in the book: run 'make book' first"
    )
    outside, errors = [], []
    with browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.on(
            "request", lambda request: request.url.startswith((site, "data:", "blob:")) or outside.append(request.url)
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{site}{DIFFUSION_CHAPTER}.html")
        explorer = page.locator(".sfbc-explorer")
        explorer.scroll_into_view_if_needed()
        expect(explorer).to_have_attribute("data-ready", "true")
        expect(explorer).to_have_attribute("data-dark", "true" if scheme == "dark" else "false")
        assert explorer.get_by_role("slider").count() == 2 and explorer.get_by_role("combobox").count() == 3
        before, error = pictures(explorer), float(explorer.get_attribute("data-rms-error"))
        explorer.get_by_label("Evaluations D").press("ArrowRight")
        expect(explorer).to_have_attribute("data-steps", "11")
        assert changed(before, pictures(explorer))
        assert float(explorer.get_attribute("data-rms-error")) > 5 * error  # as the chapter says
        before = pictures(explorer)
        explorer.get_by_label("Time reached t").press("Home")
        expect(explorer).to_have_attribute("data-time", "1")
        assert changed(before, pictures(explorer))
        address = page.url
        explorer.get_by_label("Time reached t").press("ArrowRight")
        expect(explorer).to_have_attribute("data-shown", "1")
        assert page.url.partition("#")[0] == address  # the theme turns pages with the arrow keys
    assert not outside, "asked other servers"
    assert not errors, "errors on the page"


# ---- JupyterLab ----

CELLS = (
    """\
import numpy as np
from sfbc_core.book.widgets import ActionExplorer

rng = np.random.default_rng(0)
actions = rng.uniform(-1, 1, size=(5, 7, 16))
explorer = ActionExplorer(actions, actions * np.linspace(-3, 4, 7)[:, None])
explorer""",
    'print("python has", explorer.alpha, explorer.num_candidates, explorer.x_index, explorer.map_mode)',
    "explorer.alpha, explorer.num_candidates, explorer.map_mode = 0.5, 3, 'greedy'",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[str]:
    """The address of the notebook in a JupyterLab of its own, which reads and writes no settings of the user."""
    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (folder / "files").mkdir()
    nbformat.write(notebook, folder / "files" / "explorer.ipynb")

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    address = f"http://127.0.0.1:{port}"
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    own["JUPYTERLAB_SETTINGS_DIR"] = own["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / "settings")
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder / 'files'}"),
        *("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
        "--LabApp.extension_manager=readonly",
    ]
    # The token goes through the environment: arguments can be read by every user of the machine.
    environment = {**os.environ, **own, "JUPYTER_TOKEN": token, "PYTHONPATH": str(ROOT)}
    log_path = folder / "lab.log"
    with log_path.open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_it_answers(f"{address}/api?token={token}", server, log_path)
            yield f"{address}/lab/tree/explorer.ipynb?token={token}"
        finally:
            server.terminate()  # stops the kernels first
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_until_it_answers(address: str, server: subprocess.Popen, log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"JupyterLab ended with status {server.returncode}:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not answer within {seconds} s:\n{log.read_text()[-3000:]}")


def run_cell(page: Page, index: int) -> Locator:
    """Run one cell of the notebook; returns the cell."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(index)
    prompt = cell.locator(".jp-InputArea-prompt").first
    cell.locator(".cm-content").click()
    expect(page.locator(".jp-Notebook.jp-mod-editMode")).to_be_attached()
    for _ in range(12):
        page.keyboard.press("Control+Enter")
        with suppress(AssertionError):
            expect(prompt).not_to_have_text("[ ]:", timeout=5_000)
            break
        # JupyterLab learns its shortcuts a moment after it draws the notebook, and a key before that is lost.
    expect(prompt).to_have_text(f"[{index + 1}]:", timeout=60_000)
    return cell


def test_sliders_and_python_follow_each_other_in_jupyterlab(browser, lab):
    with browser.new_context(viewport={"width": 1400, "height": 1500}) as context:
        page = context.new_page()
        page.goto(lab)
        expect(page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(3, timeout=60_000)
        expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_attached(timeout=60_000)

        run_cell(page, 0)
        explorer = page.locator(".sfbc-explorer")
        expect(explorer).to_have_attribute("data-ready", "true", timeout=60_000)
        expect(explorer).to_have_attribute("data-alpha", "1")

        # From the page to Python. JupyterLab uses arrow keys itself: they must move the slider, and stay with it.
        before = pictures(explorer)
        alpha = explorer.get_by_label("Inverse temperature α")
        alpha.press("End")
        alpha.press("ArrowLeft")
        expect(explorer).to_have_attribute("data-alpha", "93.3")  # one of 99 equal steps in the logarithm below 100
        expect(alpha).to_be_focused()
        assert changed(before, pictures(explorer))
        explorer.get_by_label("Candidates M").press("ArrowLeft")
        explorer.get_by_role("application").press("ArrowLeft")
        explorer.get_by_label("The map shows").select_option("sampled")
        expect(explorer).to_have_attribute("data-map-mode", "sampled")
        expect(run_cell(page, 1).locator(".jp-OutputArea-output")).to_have_text("python has 93.3 15 2 sampled\n")

        # From Python to the page.
        before = pictures(explorer)
        run_cell(page, 2)
        expect(explorer).to_have_attribute("data-alpha", "0.5")
        expect(explorer).to_have_attribute("data-num-candidates", "3")
        expect(explorer).to_have_attribute("data-map-mode", "greedy")
        expect(explorer.get_by_label("The map shows")).to_have_value("greedy")
        assert changed(before, pictures(explorer))
