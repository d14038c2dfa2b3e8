"""A widget's state in the page's address: read, written, ignored where it is none, and followed by the page."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sfbc_core.book.widgets import ActionExplorer, ValueExplorer
from sfbc_core.book.widgets.explorer import MODULE


@pytest.fixture(scope="module")
def evaluate(node_module):
    return node_module(*MODULE)


PARSERS = """{
  alpha: explorer.parseNumber(0, Infinity), num_candidates: explorer.parseWhole(1, 64),
  map_mode: explorer.parseOneOf(["mean", "greedy"]),
  position: explorer.parseEach([explorer.parseWhole(0, 3), explorer.parseWhole(0, 1)]),
}"""


@pytest.mark.parametrize(
    ("fragment", "state"),
    [
        ("", None),
        ("#heading", None),
        ("#sfbc-action", None),  # an id, not a state
        ("#sfbc-value?alpha=3", None),  # another widget's
        ("#heading;sfbc-action?alpha=3", None),
        ("#sfbc-action?alpha=2.5&num_candidates=7&map_mode=greedy&position=3,1",
         {"alpha": 2.5, "num_candidates": 7, "map_mode": "greedy", "position": [3, 1]}),
        ("#sfbc-value?x=1;sfbc-action?alpha=1e2", {"alpha": 100}),
        ("#sfbc-action?alpha=3&position=1%2C0", {"alpha": 3, "position": [1, 0]}),
        ("#sfbc-action?alpha=-1&num_candidates=65&map_mode=median&position=4,0", {}),
        ("#sfbc-action?alpha=1e999&num_candidates=2.5&map_mode=&position=1", {}),
        ("#sfbc-action?alpha=&num_candidates=-3&position=1,0,0&__proto__=1", {}),
        ("#sfbc-action?alpha=%&num_candidates=%20", {}),
        ("#sfbc-action?", {}),
    ],
)  # fmt: skip
def test_reading(evaluate, fragment, state):
    assert evaluate(f"explorer.readFragment(given.fragment, 'action', {PARSERS})", fragment=fragment) == state


def test_what_is_written_is_read_back_and_leaves_the_others(evaluate):
    state = {"alpha": 0.316, "num_candidates": 64, "map_mode": "mean", "position": [2, 0]}
    written = evaluate(
        f"explorer.writeFragment('#sfbc-value?row=1;sfbc-action?alpha=7', 'action', given.state, {PARSERS})",
        state=state,
    )
    assert written == "#sfbc-action?alpha=0.316&num_candidates=64&map_mode=mean&position=2,0;sfbc-value?row=1"
    assert evaluate(f"explorer.readFragment(given.written, 'action', {PARSERS})", written=written) == state
    over_an_anchor = evaluate(f"explorer.writeFragment('#heading', 'action', given.state, {PARSERS})", state=state)
    assert over_an_anchor == written.split(";")[0]


# ---- in a browser ----


@pytest.fixture(scope="module")
def fragments() -> list[str]:
    actions = np.linspace(-1, 1, 16)
    policy, values = ActionExplorer(actions, -(actions**2)), np.arange(24.0).reshape(4, 2, 3)
    space = "<h2 id='heading'>A heading</h2><div style='height: 1500px'></div>"
    names = [
        f"{space}{policy.to_html()}",
        f"{space}{policy.to_html()}",
        ValueExplorer(values, {"K": [1, 2, 3, 4]}).to_html(),
    ]
    return names


def at(page, index):
    return page.locator(".sfbc-explorer").nth(index)


def test_a_moved_slider_stands_in_the_address_and_opens_the_same_state(open_page):
    from playwright.sync_api import expect

    page = open_page(fragment="#heading")
    entries = page.evaluate("history.length")
    at(page, 1).get_by_label("Inverse temperature α").press("End")
    at(page, 1).get_by_label("Candidates M").press("ArrowLeft")
    expect(page).to_have_url(re.compile(r"#sfbc-action-2\?alpha=100&num_candidates=15$"))
    at(page, 2).get_by_role("slider").press("End")
    expect(page).to_have_url(re.compile(r"#sfbc-value\?position=3&row=0&column=0;sfbc-action-2\?alpha=100&"))
    assert page.evaluate("history.length") == entries  # the way back is not through every position of a slider

    again = open_page(fragment=page.evaluate("location.hash"))
    expect(at(again, 0)).to_have_attribute("data-alpha", "1")
    expect(at(again, 1)).to_have_attribute("data-alpha", "100")
    expect(at(again, 1)).to_have_attribute("data-num-candidates", "15")
    expect(at(again, 2)).to_have_attribute("data-position", "3")
    expect(at(again, 2)).to_be_in_viewport()  # the one that was moved last
    expect(at(again, 0)).not_to_be_in_viewport()


def test_bad_values_are_ignored(open_page):
    from playwright.sync_api import expect

    page = open_page(
        fragment="#sfbc-action?alpha=-3&num_candidates=999&map_mode=x&x_index=a;sfbc-value?position=7&row=1"
    )
    expect(at(page, 0)).to_have_attribute("data-alpha", "1")
    expect(at(page, 0)).to_have_attribute("data-num-candidates", "16")
    expect(at(page, 2)).to_have_attribute("data-position", "0")
    expect(at(page, 2)).to_have_attribute("data-row", "1")


def test_an_address_that_changes_later_is_followed_and_an_anchor_is_left_alone(open_page):
    from playwright.sync_api import expect

    page = open_page()
    page.evaluate("location.hash = '#sfbc-action-2?alpha=7'")
    expect(at(page, 1)).to_have_attribute("data-alpha", "7")
    expect(at(page, 1)).to_be_in_viewport()
    page.evaluate("location.hash = '#heading'")
    expect(page.locator("#heading").first).to_be_in_viewport()
    expect(at(page, 1)).to_have_attribute("data-alpha", "7")
