"""Every page of the built book in a real browser: accessible in light and dark, with one frame a picture, and no network."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from built_book import UNFOLD, written_pages

pytestmark = pytest.mark.book

PAGES = [*written_pages(), "search"]
CODE_IS_REACHABLE = """() =>
    [...document.querySelectorAll("pre")].every(code => code.scrollWidth <= code.clientWidth || code.tabIndex === 0)
"""
# The theme puts a card behind a picture and, in the dark, another behind the output around it.
PICTURES_WITH_TWO_FRAMES = """() => {
    const card = (box) => {
        const style = getComputedStyle(box);
        const clear = ["transparent", "rgba(0, 0, 0, 0)"].includes(style.backgroundColor);
        return !clear && parseFloat(style.paddingLeft) > 0;
    };
    const pictures = [...document.querySelectorAll("article .cell_output :is(img, video)")];
    return pictures.filter((picture) => picture.getClientRects().length).filter((picture) => {
        let cards = 0;
        for (let box = picture; !box.matches(".cell_output"); box = box.parentElement) cards += card(box);
        return cards > 1;
    }).map((picture) => picture.alt || picture.ariaLabel || picture.src.slice(0, 60));
}"""
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
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
    assert page.evaluate(PICTURES_WITH_TWO_FRAMES) == []
    assert results.violations_count == 0, results.generate_report()


def test_search_works_without_a_network(visit):
    page = visit("search")
    page.goto(page.url + "?q=candidates")
    page.locator("#search-results li a").first.wait_for()
    assert not page.outside
