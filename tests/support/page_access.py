"""What must hold of a page for a reader with a keyboard, a screen reader or weak eyes, in light and in dark."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# WCAG 2.2 at level AA: axe's further advice concerns the theme's layout, which is not ours.
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Without preloading: axe would fetch the style sheets again and look for what they import in the wrong folder.
OPTIONS = {"preload": False, "resultTypes": ["violations"], "runOnly": WCAG}
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
# Of the words of highlighted code of one kind, one stays a word of its own: axe measures the contrast of each, which for the
# thousands of a chapter takes a minute. The others join the text around them. Kinds and not colours: two kinds may look
# alike in one scheme and not in the other.
JOIN_WORDS_OF_A_KIND = """() => {
    for (const code of document.querySelectorAll("pre")) {
        const seen = new Set();
        for (const word of code.querySelectorAll("span:not(:has(*))")) {
            const kind = [word.className, word.style.cssText, word.parentElement.className].join();
            if (seen.has(kind)) word.replaceWith(word.textContent);
            seen.add(kind);
        }
    }
}"""


def check_accessible(page: Page) -> None:
    """In the scheme in which the page was opened, and in the other one, to which it turns when its reader's screen does."""
    # Code that scrolls sideways must be reachable by keyboard: book/_static/sfbc.js sees to that once it has been laid out.
    page.wait_for_function(CODE_IS_REACHABLE)
    page.evaluate(JOIN_WORDS_OF_A_KIND)
    opened = page.locator("html").get_attribute("data-theme")
    for scheme in (opened, {"light": "dark", "dark": "light"}[opened]):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
        results = Axe().run(page, options=OPTIONS)
        assert page.evaluate(PICTURES_WITH_TWO_FRAMES) == [], f"in {scheme}"
        assert results.violations_count == 0, f"in {scheme}: {results.generate_report()}"
