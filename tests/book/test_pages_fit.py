"""Every page fits its screen, a laptop's and a phone's: nothing is cut off, and what is read as lines needs no scrolling."""

from __future__ import annotations

import pytest
from built_book import UNFOLD, written_pages

pytestmark = pytest.mark.book

PAGES = [*written_pages(), "search", "genindex", "py-modindex"]
LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 320, "height": 640}
SMALLEST_CODE = 13  # pixels of a letter of code: below that it tires

# What stands in an article, and a few words to find it by. Half a pixel is rounding.
HELPERS = """
    const all = (selector) => [...document.querySelectorAll(selector)];
    const shown = (selector) => all(selector).filter((element) => element.getClientRects().length);
    const words = (element) => {
        const figure = element.closest("figure, .cell, div.math") ?? element;
        const text = element.textContent.trim() || element.alt || element.ariaLabel || figure.id || figure.textContent;
        return `${element.localName} “${text.trim().replace(/\\s+/g, " ").slice(0, 60)}”`;
    };
    const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
    const hides = (element) => ["hidden", "clip"].includes(getComputedStyle(element).overflowX);
"""
# Everything up to the edge of the screen, or of a box that hides what sticks out, unless a box on the way scrolls.
CUT_OFF = (
    "() => {"
    + HELPERS
    + """
    const cut = (element) => {
        const edge = element.getBoundingClientRect();
        for (let box = element; box && box !== document.body; box = box.parentElement) {
            const limit = box.getBoundingClientRect();
            const sticksOut = edge.right > limit.right + 0.5 || edge.left < limit.left - 0.5;
            if (box !== element && hides(box) && sticksOut) return true;
            if (scrolls(box)) return false;
        }
        return edge.right > document.documentElement.clientWidth + 0.5 || edge.left < -0.5;
    };
    return shown("article :is(mjx-container svg, img, video, canvas, table, pre, p, li, dt, h1, h2, h3)")
        .filter((element) => !element.closest("mjx-assistive-mml") && cut(element))
        .map(words);
}"""
)
# Whatever is wider than the box in which it scrolls: code, outputs, tables and formulas.
SCROLLED = (
    "(selector) => {"
    + HELPERS
    + """
    return shown(selector)
        .filter((box) => box.scrollWidth > box.clientWidth + 1)
        .map((box) => `${words(box)}: ${box.scrollWidth} in ${box.clientWidth} pixels`);
}"""
)
# Pictures and films wider than their column: those shrink, they do not scroll.
WIDE_PICTURES = (
    "() => {"
    + HELPERS
    + """
    return shown("article :is(img, video, canvas)")
        .filter((picture) => {
            let column = picture.parentElement;
            while (getComputedStyle(column).display === "inline") column = column.parentElement;
            return picture.getBoundingClientRect().width > column.clientWidth + 1;
        })
        .map(words);
}"""
)
DISTORTED = (
    "() => {"
    + HELPERS
    + """
    return shown("article img").filter((image) => {
        const { width, height } = image.getBoundingClientRect();
        const style = getComputedStyle(image);
        const across = width - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
        const down = height - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
        return Math.abs(across / down / (image.naturalWidth / image.naturalHeight) - 1) > 0.02;
    }).map(words);
}"""
)
# What scrolls without an edge that fades.
SCROLLS_WITHOUT_A_HINT = (
    "() => {"
    + HELPERS
    + """
    return shown("article *")
        .filter((box) => scrolls(box) && box.scrollWidth > box.clientWidth + 1)
        .filter((box) => getComputedStyle(box).maskImage === "none")
        .map(words);
}"""
)


def opened(visit, name, screen, **options):
    page = visit(name, viewport=screen, **options)
    page.add_style_tag(content="*, *::before, *::after { animation: none !important; transition: none !important; }")
    page.evaluate("Promise.all([...document.images].map(image => { image.loading = 'eager'; return image.decode(); }))")
    return page


def check_nothing_is_cut_off(page, screen):
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= screen["width"], f"the page scrolls sideways: it is {width} pixels wide"
    assert page.evaluate(CUT_OFF) == [], "cut off, with no way to scroll to the rest"
    assert page.evaluate(WIDE_PICTURES) == [], "pictures wider than their column"
    assert page.evaluate(DISTORTED) == [], "pictures that were squeezed in one direction"


@pytest.mark.parametrize("name", PAGES)
def test_a_laptop_shows_all_without_scrolling(visit, name):
    page = opened(visit, name, LAPTOP)
    boxes = "article :is(pre, .cell_output, .output, div.math mjx-container)"
    assert page.evaluate(SCROLLED, boxes) == [], "wider than the page"
    sizes = "[...document.querySelectorAll('article pre')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert min(page.evaluate(sizes), default=SMALLEST_CODE) >= SMALLEST_CODE, "code is set too small"
    page.evaluate(UNFOLD)  # a folded answer fits as well
    check_nothing_is_cut_off(page, LAPTOP)


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_all_or_that_there_is_more(visit, name):
    """A phone draws no scroll bar until one scrolls: an edge that fades says that there is more."""
    page = opened(visit, name, PHONE)
    page.evaluate(UNFOLD)
    check_nothing_is_cut_off(page, PHONE)
    assert page.evaluate(SCROLLS_WITHOUT_A_HINT) == []
