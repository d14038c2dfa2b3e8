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


def opened(visit, name, screen, **options):
    page = visit(name, viewport=screen, **options)
    page.add_style_tag(content="*, *::before, *::after { animation: none !important; transition: none !important; }")
    page.evaluate("Promise.all([...document.images].map(image => { image.loading = 'eager'; return image.decode(); }))")
    return page


@pytest.mark.parametrize("screen", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_off(visit, name, screen):
    page = opened(visit, name, screen)
    page.evaluate(UNFOLD)  # a folded answer fits as well
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= screen["width"], f"the page scrolls sideways: it is {width} pixels wide"
    assert page.evaluate(CUT_OFF) == [], "cut off, with no way to scroll to the rest"
    assert page.evaluate(WIDE_PICTURES) == [], "pictures wider than their column"
    assert page.evaluate(DISTORTED) == [], "pictures that were squeezed in one direction"


@pytest.mark.parametrize("name", PAGES)
def test_code_outputs_and_formulas_fit_a_laptop_without_scrolling(visit, name):
    page = opened(visit, name, LAPTOP)
    assert page.evaluate(SCROLLED, "article :is(pre, .cell_output, .output, div.math mjx-container)") == []


@pytest.mark.parametrize("name", [page for page in PAGES if page.startswith("notebooks/")])
def test_code_is_not_set_too_small(visit, name):
    page = opened(visit, name, LAPTOP)
    sizes = page.evaluate(
        "[...document.querySelectorAll('article pre')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert sizes and min(sizes) >= SMALLEST_CODE


@pytest.mark.parametrize("name", PAGES)
def test_what_scrolls_on_a_phone_shows_that_it_does(visit, name):
    """A phone draws no scroll bar until one scrolls: an edge that fades says that there is more."""
    page = opened(visit, name, PHONE)
    page.evaluate(UNFOLD)
    without_a_hint = page.evaluate(
        f"""() => {{ {HELPERS}
            return shown("article *")
                .filter((box) => scrolls(box) && box.scrollWidth > box.clientWidth + 1)
                .filter((box) => getComputedStyle(box).maskImage === "none")
                .map(words);
        }}"""
    )
    assert without_a_hint == []


@pytest.mark.parametrize("name", [page for page in PAGES if page.startswith("notebooks/")])
def test_a_picture_has_one_frame_in_the_dark(visit, name):
    """The theme puts a card behind a picture and another behind the output around it."""
    page = opened(visit, name, LAPTOP, color_scheme="dark")
    two_frames = page.evaluate(
        f"""() => {{ {HELPERS}
            const card = (box) => {{
                const style = getComputedStyle(box);
                const clear = ["transparent", "rgba(0, 0, 0, 0)"].includes(style.backgroundColor);
                return !clear && parseFloat(style.paddingLeft) > 0;
            }};
            return shown("article .cell_output :is(img, video)").filter((picture) => {{
                let cards = 0;
                for (let box = picture; !box.matches(".cell_output"); box = box.parentElement) cards += card(box);
                return cards > 1;
            }}).map(words);
        }}"""
    )
    assert two_frames == []
