"""The action explorer in a browser: a stand-alone page with the fragments of two explorers, opened as a file."""

from __future__ import annotations

import numpy as np
import pytest

from sfbc_core.book.widgets import ActionExplorer

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Page, Locator, expect = playwright_api.Page, playwright_api.Locator, playwright_api.expect


@pytest.fixture(scope="module")
def map_explorer() -> ActionExplorer:
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, size=(7, 9, 16))
    q = actions * np.linspace(-3, 4, 9)[:, None]
    x_values, y_values = np.linspace(-1.2, 0.6, 9), np.linspace(-0.07, 0.07, 7)
    labels = {"x_label": "position", "y_label": "velocity", "title": "A map </script><b>of</b> states"}
    return ActionExplorer(actions, q, x_values=x_values, y_values=y_values, **labels)


@pytest.fixture(scope="module")
def policy_explorer() -> ActionExplorer:
    rng = np.random.default_rng(1)
    grid = np.linspace(-1, 1, 101)
    actions = rng.uniform(-1, 1, size=128)
    return ActionExplorer(actions, np.sin(3 * actions), density=(grid, np.ones(101)), q_grid=np.sin(3 * grid))


@pytest.fixture(scope="module")
def fragments(map_explorer, policy_explorer) -> list[str]:
    return [map_explorer.to_html(), policy_explorer.to_html()]


def pictures(explorer: Locator) -> list[str]:
    return [canvas.evaluate("canvas => canvas.toDataURL()") for canvas in explorer.locator("canvas").all()]


def explorers(page: Page) -> tuple[Locator, Locator]:
    found = page.locator(".sfbc-explorer")
    return found.nth(0), found.nth(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_sliders_change_both_pictures(open_page, theme):
    page = open_page(theme)
    for explorer, total in zip(explorers(page), ("16", "128"), strict=True):
        expect(explorer).to_have_attribute("data-dark", "true" if theme == "dark" else "false")
        before = pictures(explorer)
        explorer.get_by_label("Inverse temperature α").press("End")
        expect(explorer).to_have_attribute("data-alpha", "100")
        after = pictures(explorer)
        assert all(a != b for a, b in zip(before, after, strict=True))
        expect(explorer).to_have_attribute("data-num-candidates", total)
        explorer.get_by_label("Candidates M").press("Home")
        expect(explorer).to_have_attribute("data-num-candidates", "1")
        assert all(a != b for a, b in zip(after, pictures(explorer), strict=True))
        expect(explorer.get_by_role("status")).to_contain_text("α = 100, M = 1")


def test_sliders_tell_their_value_in_words(open_page):
    explorer, _ = explorers(open_page())
    alpha, count = explorer.get_by_label("Inverse temperature α"), explorer.get_by_label("Candidates M")
    expect(alpha).to_have_attribute("aria-valuetext", "alpha 1")
    expect(count).to_have_attribute("aria-valuetext", "16 of 16 candidates")
    alpha.press("Home")
    expect(alpha).to_have_attribute("aria-valuetext", "alpha 0")


def test_map_is_moved_by_keyboard_and_by_click(open_page):
    explorer, _ = explorers(open_page())
    chart = explorer.get_by_role("application")
    expect(explorer).to_have_attribute("data-x-index", "4")
    expect(explorer).to_have_attribute("data-y-index", "3")
    chart.press("ArrowLeft")
    chart.press("ArrowUp")
    expect(explorer).to_have_attribute("data-x-index", "3")
    expect(explorer).to_have_attribute("data-y-index", "4")
    expect(explorer.get_by_role("status")).to_contain_text("position −0.525, velocity 0.0233")
    chart.press("End")
    chart.press("ArrowRight")  # at the border: stays
    expect(explorer).to_have_attribute("data-x-index", "8")
    chart.click(position={"x": 72, "y": 14})  # the top left corner of the map
    expect(explorer).to_have_attribute("data-x-index", "0")
    expect(explorer).to_have_attribute("data-y-index", "6")
    chart.click(position={"x": 5, "y": 100})  # on the axis: nothing to choose
    expect(explorer).to_have_attribute("data-x-index", "0")


def test_map_modes_differ_and_the_sampled_map_does_not_flicker(open_page):
    page = open_page()
    explorer, _ = explorers(page)
    shown = {}
    for mode in ("mean", "greedy", "sampled"):
        explorer.get_by_label("The map shows").select_option(mode)
        expect(explorer).to_have_attribute("data-map-mode", mode)
        shown[mode] = pictures(explorer)[0]
    assert len(set(shown.values())) == 3
    explorer.get_by_label("The map shows").select_option("mean")
    expect(explorer).to_have_attribute("data-map-mode", "mean")
    explorer.get_by_label("The map shows").select_option("sampled")
    expect(explorer).to_have_attribute("data-map-mode", "sampled")
    assert pictures(explorer)[0] == shown["sampled"]


def test_keys_of_the_widget_stay_in_the_widget(open_page):
    page = open_page()
    page.evaluate("window.heard = []; document.addEventListener('keydown', (event) => heard.push(event.key));")
    explorer, _ = explorers(page)
    for control in (explorer.get_by_label("Inverse temperature α"), explorer.get_by_role("application")):
        for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"):
            control.press(key)
    assert page.evaluate("heard") == []


def test_numbers_of_the_page_are_those_of_python(open_page, map_explorer, policy_explorer):
    for shown, explorer in zip(explorers(open_page()), (map_explorer, policy_explorer), strict=True):
        # Half a step of a 16-bit code in each Q and action moves the mean by less than 1e-3 here.
        mean = float(shown.get_attribute("data-mean-action"))
        assert mean == pytest.approx(explorer.summary()["mean_action"], abs=1e-3)


def test_theme_can_change_while_the_page_is_open(open_page):
    page = open_page("light")
    explorer, _ = explorers(page)
    before = pictures(explorer)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(explorer).to_have_attribute("data-dark", "true")
    assert all(a != b for a, b in zip(before, pictures(explorer), strict=True))


@pytest.mark.parametrize("width", [320, 1000])
def test_nothing_overflows(open_page, width):
    page = open_page(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for explorer in explorers(page):
        inside = explorer.evaluate(
            "root => [...root.querySelectorAll('*')].every((node) => node.scrollWidth <= root.clientWidth)"
        )
        assert inside


def test_a_phone_shows_all_controls_and_one_plot_on_a_screen(open_page):
    page = open_page(width=320, height=640)
    for explorer in explorers(page):
        first, second = explorer.locator("canvas").all()
        whole, canvas = explorer.bounding_box(), first.bounding_box()
        assert canvas["y"] + canvas["height"] - whole["y"] <= 640 - 60  # 60: the book's header
        expect(first).to_be_visible()
        expect(second).not_to_be_visible()
        buttons = explorer.get_by_role("group", name="Plot").get_by_role("button")
        buttons.nth(1).press("Enter")
        expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")
        expect(buttons.nth(0)).to_have_attribute("aria-pressed", "false")
        expect(first).not_to_be_visible()
        expect(second).to_be_visible()
        drawn = "canvas => canvas.width === Math.round(canvas.clientWidth * devicePixelRatio)"
        page.wait_for_function(f"canvas => ({drawn})(canvas)", arg=second.element_handle())
    page.set_viewport_size({"width": 1000, "height": 640})
    for canvas in page.locator("canvas").all():
        expect(canvas).to_be_visible()
    expect(page.get_by_role("group", name="Plot")).to_have_count(0)  # nothing to choose where both fit


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    results = axe.Axe().run(open_page(theme))
    assert results.violations_count == 0, results.generate_report()


def test_focus_is_visible(open_page):
    page = open_page()
    explorer, _ = explorers(page)
    explorer.get_by_label("Inverse temperature α").focus()
    for _ in range(4):  # both sliders, the select, the map
        outline = page.evaluate(
            "(({ outlineStyle, outlineWidth }) => [outlineStyle, outlineWidth])(getComputedStyle(document.activeElement))"
        )
        assert outline == ["solid", "3px"]
        page.keyboard.press("Tab")


def test_labels_are_text_not_html(open_page):
    explorer, _ = explorers(open_page())
    expect(explorer.get_by_text("A map </script><b>of</b> states", exact=True)).to_be_visible()


def test_without_javascript_there_is_a_picture(open_page):
    page = open_page(java_script_enabled=False)
    images = page.get_by_role("img")
    expect(images).to_have_count(2)
    for image in images.all():
        expect(image).to_be_visible()
        assert "a still picture" in image.get_attribute("alt")
