"""The check of accessibility finds a fault among words of code, in the scheme that was opened and in the other."""

import pytest
from built_book import started_browser
from page_access import check_accessible

PAGE = """<!doctype html><html lang="en"><head><title>Code</title><style>
:root { color-scheme: light dark; --word: #0b3d91; --link: underline; background: white; color: black }
@media (prefers-color-scheme: dark) { :root { --word: #9ecbff; background: black; color: white } }
span { color: var(--word) } a { color: inherit; text-decoration: var(--link) } FAULT
</style></head><body><main><h1>Code</h1><p>Words around a <a href="#x" id="x">link</a>.</p>
<pre><span>one</span> + <span>two</span> + <span class="odd">three</span> + <span>four</span></pre></main>
<script>
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.dataset.theme = dark.matches ? "dark" : "light";
dark.addEventListener("change", follow); follow();
</script></body></html>"""


@pytest.fixture(scope="module")
def browser():
    with started_browser() as browser:
        yield browser


@pytest.mark.parametrize("opened", ["light", "dark"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("", None),
        ("@media (prefers-color-scheme: light) { .odd { color: #eee } }", "in light: .*color-contrast"),
        ("@media (prefers-color-scheme: dark) { .odd { color: #222 } }", "in dark: .*color-contrast"),
        ("@media (prefers-color-scheme: dark) { span { color: #222 } }", "in dark: .*color-contrast"),
        (
            "@media (prefers-color-scheme: light) { :root { --link: none } a { color: #222 } }",
            "in light: .*link-in-text-block",
        ),
    ],
    ids=["none", "one word in light", "one word in dark", "all words in dark", "a link in light"],
)
def test_a_fault_in_either_scheme_is_found(browser, opened, fault, said):
    page = browser.new_page(color_scheme=opened)
    page.set_content(PAGE.replace("FAULT", fault))
    if said is None:
        check_accessible(page)
    else:
        with pytest.raises(AssertionError, match=f"(?s){said}"):
            check_accessible(page)
    page.close()
