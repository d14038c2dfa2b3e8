"""What must hold of a page on a screen: nothing is cut off, and what is read as lines needs no scrolling."""

from __future__ import annotations

from built_book import UNFOLD
from playwright.sync_api import Page

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


def check_lines_need_no_scrolling(page: Page) -> None:
    """Code, outputs, tables and formulas are as wide as the page at most, and code is large enough to read."""
    boxes = "article :is(pre, .cell_output, .output, div.math mjx-container)"
    assert page.evaluate(SCROLLED, boxes) == [], "wider than the page"
    sizes = "[...document.querySelectorAll('article pre')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert min(page.evaluate(sizes), default=SMALLEST_CODE) >= SMALLEST_CODE, "code is set too small"


def check_nothing_is_cut_off(page: Page) -> None:
    """Neither on the page nor in a folded answer, which is unfolded for this."""
    page.evaluate(UNFOLD)
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], f"the page scrolls sideways: it is {widths[0]} pixels wide, its screen {widths[1]}"
    assert page.evaluate(CUT_OFF) == [], "cut off, with no way to scroll to the rest"
    assert page.evaluate(WIDE_PICTURES) == [], "pictures wider than their column"
    assert page.evaluate(DISTORTED) == [], "pictures that were squeezed in one direction"


def check_what_scrolls_says_so(page: Page) -> None:
    """A phone draws no scroll bar until one scrolls: an edge that fades says that there is more."""
    assert page.evaluate(SCROLLS_WITHOUT_A_HINT) == []
