"""Every page of the built book in a real browser: it fits a laptop and a phone, is accessible, and needs no network."""

import pytest
from built_book import written_pages
from page_access import check_accessible
from page_fit import check_lines_need_no_scrolling, check_nothing_is_cut_off, check_what_scrolls_says_so

pytestmark = pytest.mark.book

PAGES = [*written_pages(), "search"]
LISTS = ["genindex", "py-modindex"]  # Sphinx's own pages: they fit as well
LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 320, "height": 640}
# Folded parts fade in when they are opened; on a busy machine axe would measure them half-way, all but white on white.
STILL = "*, *::before, *::after { animation: none !important; transition: none !important; }"


def opened(visit, name, screen, **options):
    page = visit(name, viewport=screen, **options)
    page.add_style_tag(content=STILL)
    page.evaluate("Promise.all([...document.images].map(image => { image.loading = 'eager'; return image.decode(); }))")
    return page


@pytest.mark.parametrize("name", PAGES + LISTS)
def test_a_laptop_shows_all_without_scrolling_to_every_reader(visit, name):
    page = opened(visit, name, LAPTOP, color_scheme="dark")
    assert page.locator("html").get_attribute("data-theme") == "dark", "the page does not follow the reader's choice"
    check_lines_need_no_scrolling(page)
    check_nothing_is_cut_off(page)
    if name in PAGES:
        check_accessible(page)
    assert not page.outside, "asked other servers"
    assert not page.errors, "errors on the page"


@pytest.mark.parametrize("name", PAGES + LISTS)
def test_a_phone_shows_all_or_that_there_is_more(visit, name):
    page = opened(visit, name, PHONE)
    check_nothing_is_cut_off(page)
    check_what_scrolls_says_so(page)


def test_search_works_without_a_network(visit):
    page = visit("search")
    page.goto(page.url + "?q=candidates")
    page.locator("#search-results li a").first.wait_for()
    assert not page.outside
