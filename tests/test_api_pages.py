"""The API pages: every public module on one of them, and all of them in the index and in the table of contents."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

WIDGETS = "sfbc_core.book.widgets"  # one module shown for its files
ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "book" / "api").glob("*.md"))
SHOWN = {page.stem: re.findall(r"^\.\. automodule:: (\S+)$", page.read_text(encoding="utf-8"), re.M) for page in PAGES}


def public_modules() -> set[str]:
    """Modules whose path has no part that begins with an underscore."""
    found = set()
    for file in (ROOT / "sfbc_core").rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            found.add(".".join(parts))
    return {module for module in found if not module.startswith(f"{WIDGETS}.")}


def test_every_public_module_has_one_place():
    counts = Counter(module for modules in SHOWN.values() for module in modules)
    assert [module for module, count in counts.items() if count > 1] == []
    assert sorted(public_modules() - set(counts)) == []


def test_the_index_links_every_module_under_its_page():
    index = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"file: book/api/(\w+)$", (ROOT / "_toc.yml").read_text(encoding="utf-8"), re.M)
    _, *parts = re.split(r"\]\(api/(\w+)\.md\)", index)
    linked = {
        page: re.findall(r"\{py:mod\}`[^<`]+<([^>]+)>`", text) for page, text in zip(*[iter(parts)] * 2, strict=True)
    }
    assert list(linked) == listed and sorted(linked) == sorted(SHOWN)
    assert {page: sorted(modules) for page, modules in linked.items()} == {
        page: sorted(modules) for page, modules in SHOWN.items()
    }
