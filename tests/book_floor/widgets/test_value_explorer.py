"""The value explorer: the Python side, the arithmetic of its page, and the page in a browser."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import traitlets

from sfbc_core.book.widgets import ValueExplorer
from sfbc_core.book.widgets.packing import unpack_rows

AXES = {"iterations K": [1, 2, 3, 4], "α": ["0", "20", "∞"], "operator": ["Eq. 11", "one step"]}


def make_values() -> np.ndarray:
    values = np.random.default_rng(0).uniform(size=(4, 3, 2, 5, 6))
    values[..., 1, 2:4] = np.nan  # walls
    return values


def make(**options) -> ValueExplorer:
    values = make_values()
    defaults = {
        "arrows": np.random.default_rng(1).integers(-1, 4, size=values.shape),
        "reference": values.max(0, keepdims=True),
        "reference_label": "the optimum",
        "letters": {"S": (0, 0), "G": (4, 5)},
        "menus": ("operator",),
        "title": "A maze </script><b>of</b> values",
    }
    return ValueExplorer(values, AXES, **(defaults | options))


# ---- the Python side ----


def test_holds_the_maps_to_the_precision_of_its_codes():
    explorer, values = make(), make_values()
    cells = np.array(explorer.data["cells"])
    assert len(cells) == 28
    unpacked = unpack_rows(explorer.data["values"], 28)
    np.testing.assert_allclose(unpacked, values[..., cells[:, 0], cells[:, 1]].reshape(24, 28), atol=1 / 65535)


def test_value_follows_position_and_cell():
    explorer = make(position=(1, 2, 0), row=3, column=4)
    assert explorer.value == make_values()[1, 2, 0, 3, 4]
    explorer.position, explorer.row = [3, 0, 1], 0
    assert explorer.value == make_values()[3, 0, 1, 0, 4]
    explorer.row, explorer.column = 1, 2
    assert np.isnan(explorer.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"menus": ("speed",)}, r"got \['speed'\]"),
        ({"arrows": np.zeros((5, 6), dtype=int)}, r"arrows must have the shape of values"),
        ({"reference": np.zeros((4, 3, 2, 5, 6))}, "same walls"),
        ({"reference": make_values()[:2]}, "or 1 for an axis"),
    ],
)
def test_refuses_bad_input(options, message, untyped):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_refuses_bad_values(untyped):
    with pytest.raises(ValueError, match=r"length \(4, 3, 2\) as labelled .* got \(3, 3, 2, 5, 6\)"):
        ValueExplorer(make_values()[:3], AXES)
    for change, message in ((np.inf, "finite"), (np.nan, "same walls")):
        values = make_values()
        values[2, 1, 0, 4, 4] = change
        with pytest.raises(ValueError, match=message):
            ValueExplorer(values, AXES)


@pytest.mark.parametrize("change", [{"position": [4, 0, 0]}, {"position": [0, 0]}, {"row": 5}, {"column": -1}])
def test_refuses_positions_out_of_range(change):
    with pytest.raises(traitlets.TraitError):
        make(**change)
    explorer = make()
    with pytest.raises(traitlets.TraitError):
        explorer.set_trait(*next(iter(change.items())))


def test_fragment_is_safe_and_complete():
    explorer = make(position=(2, 1, 1), row=2, column=3)
    html = explorer.to_html()
    assert not re.search(r"https?://", html)
    assert html.count("</script>") == 2
    payload = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)[1])
    assert payload["state"] == {"position": [2, 1, 1], "row": 2, "column": 3}
    alt = re.search(r'<img alt="([^"]*)"', html)[1]
    assert f"iterations K: 3, α: 20, operator: one step; at row 3, column 4: {explorer.value:.3g}" in alt
    bundle, _ = explorer._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "image/png", "text/plain"} <= bundle.keys()
    assert bundle["text/plain"] == "ValueExplorer(4 x 3 x 2 maps of 5 x 6 cells, position=[2, 1, 1])"


# ---- the arithmetic of the page ----


def test_table_rows_are_numpys(node_module):
    evaluate = node_module("value_explorer.js")
    values, position = make_values().reshape(4, 3, 2, 30), (2, 1, 1)
    table = np.nan_to_num(values)
    row = evaluate("explorer.tableRow([4, 3, 2], given.position)", position=list(position))
    assert row == np.ravel_multi_index(position, (4, 3, 2))
    assert evaluate("explorer.tableRow([1, 3, 1], given.position)", position=list(position)) == 1
    curve = evaluate(
        "explorer.alongAxis(given.table, [4, 3, 2], given.position, 0, 30, 7)",
        table=table.ravel(),
        position=list(position),
    )
    np.testing.assert_allclose(curve, table[:, 1, 1, 7])


def test_values_are_shown_to_the_precision_of_their_range(node_module):
    evaluate = node_module("value_explorer.js")
    assert evaluate("explorer.roundToRange(0.0000153, [-1, 1])") == 0
    assert evaluate("explorer.roundToRange(0.12349, [-1, 1])") == pytest.approx(0.123)
    assert evaluate("explorer.roundToRange(1234.56, [0, 20000])") == pytest.approx(1230)


# ---- in a browser ----


@pytest.fixture(scope="module")
def fragments() -> list[str]:
    return [
        make().to_html(),
        make(title="Plain", arrows=None, reference=None, letters=None, menus=(), row=1, column=2).to_html(),
    ]


def explorer_of(page, index=0):
    return page.locator(".sfbc-explorer").nth(index)


def pictures(explorer):
    return [canvas.evaluate("canvas => canvas.toDataURL()") for canvas in explorer.locator("canvas").all()]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_controls_change_both_pictures_and_the_text(open_page, theme):
    from playwright.sync_api import expect

    explorer = explorer_of(open_page(theme))
    expect(explorer).to_have_attribute("data-dark", "true" if theme == "dark" else "false")
    before = pictures(explorer)
    slider = explorer.get_by_role("slider", name="iterations K")
    slider.press("ArrowRight")
    expect(explorer).to_have_attribute("data-position", "1,0,0")
    expect(slider).to_have_attribute("aria-valuetext", "2")
    after = pictures(explorer)
    assert all(a != b for a, b in zip(before, after, strict=True))
    explorer.get_by_role("combobox", name="operator").select_option(label="one step")
    expect(explorer).to_have_attribute("data-position", "1,0,1")
    assert all(a != b for a, b in zip(after, pictures(explorer), strict=True))
    expected = make_values()[1, 0, 1, 0, 0]
    assert float(explorer.get_attribute("data-value")) == pytest.approx(expected, abs=1e-4)
    optimum = make_values()[:, 0, 1, 0, 0].max()
    expect(explorer.get_by_role("status")).to_contain_text(
        f"iterations K: 2, α: 0, operator: one step. value at row 1, column 1: {expected:.3g}; the optimum: {optimum:.3g}"
    )


def test_cell_is_chosen_by_keyboard_and_by_click(open_page):
    from playwright.sync_api import expect

    explorer = explorer_of(open_page())
    maze = explorer.get_by_role("application")
    maze.press("ArrowDown")
    maze.press("End")
    expect(explorer).to_have_attribute("data-row", "1")
    expect(explorer).to_have_attribute("data-column", "5")
    assert float(explorer.get_attribute("data-value")) == pytest.approx(make_values()[0, 0, 0, 1, 5], abs=1e-4)
    maze.click(position={"x": 70, "y": 14})  # the top left corner
    expect(explorer).to_have_attribute("data-row", "0")
    expect(explorer).to_have_attribute("data-column", "0")


def test_a_wall_has_no_value(open_page):
    from playwright.sync_api import expect

    explorer = explorer_of(open_page(), 1)
    expect(explorer.get_by_role("status")).to_contain_text("Row 2, column 3 is a wall")
    expect(explorer).to_have_attribute("data-value", "")
    expect(explorer.get_by_role("slider")).to_have_count(3)  # without menus, all axes are sliders


@pytest.mark.parametrize("width", [320, 1000])
def test_nothing_overflows(open_page, width):
    page = open_page(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    results = axe.Axe().run(open_page(theme))
    assert results.violations_count == 0, results.generate_report()


def test_without_javascript_there_is_a_picture(open_page):
    images = open_page(java_script_enabled=False).get_by_role("img")
    assert images.count() == 2
    assert all("a still picture" in image.get_attribute("alt") for image in images.all())
