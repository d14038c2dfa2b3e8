"""Check the built book without a browser and without a network.

    python book/check_html.py _build/html

Every page in the table of contents exists, links and anchors inside the book lead somewhere, every picture has alt text, and
nothing is loaded from another server. Problems are listed with their pages; if there are any, the exit status is 1.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

from sfbc_core.paths import user_path

ROOT = Path(__file__).resolve().parents[1]
# Attributes through which a browser loads something by itself. Links that a reader clicks may lead anywhere.
ASSET_ATTRIBUTES = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "video": ("src", "poster"),
}
ASSET_LINKS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "modulepreload",
    "preconnect",
    "dns-prefetch",
    "manifest",
}
# What styles and inline modules load: url(https://…), @import "https://…", import … from "https://…", import("https://…").
LOADED_BY_CODE = re.compile(
    r"""(?:url\(\s*["']?|(?:@import\s+|\bfrom\s*|\bimport\s*\(?\s*)["'])((?:https?:)?//[^"')\s]+)""", re.IGNORECASE
)
IMAGE_FILE = re.compile(r"\S+\.(png|jpe?g|gif|svg|webp)", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the book."""

    page: str
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.page}: {self.kind}: {self.detail}"


@dataclass
class Page(HTMLParser):
    """What one page links to, loads and shows."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    images_without_alt: list[str] = field(default_factory=list)
    _code: str = ""  # "style" or "script" while the parser is inside one

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what this element adds to the page."""
        values = {name: value or "" for name, value in attributes}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        self._code = tag if tag in ("style", "script") else ""
        self.assets += LOADED_BY_CODE.findall(values.get("style", ""))
        if tag in ("a", "area") and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and ASSET_LINKS & set(values.get("rel", "").lower().split()):
            self.assets.append(values.get("href", ""))
        for attribute in ASSET_ATTRIBUTES.get(tag, ()):
            if attribute in values:
                self.assets += addresses(attribute, values[attribute])
        if tag == "img" and not describes_itself(values):
            self.images_without_alt.append(values.get("src", ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave a style or script."""
        if tag == self._code:
            self._code = ""

    def handle_data(self, data: str) -> None:
        """Look for addresses in styles and scripts."""
        if self._code:
            self.assets += LOADED_BY_CODE.findall(data)


def addresses(attribute: str, value: str) -> list[str]:
    """The addresses in an attribute; `srcset` holds several, each followed by a size."""
    return [part.split()[0] for part in value.split(",") if part.strip()] if attribute == "srcset" else [value]


def describes_itself(image: dict[str, str]) -> bool:
    """Whether an image has alt text, and not the file name that Sphinx writes where the author wrote none."""
    if image.get("aria-hidden") == "true" or image.get("role") in ("presentation", "none"):
        return True
    alt = image.get("alt", "").strip()
    return bool(alt) and alt != image.get("src") and not IMAGE_FILE.fullmatch(alt)


def read_pages(html: Path) -> dict[Path, Page]:
    """Parse every page of the book; the theme's own files under _static are not pages."""
    pages = {}
    for path in sorted(html.rglob("*.html")):
        if "_static" not in path.relative_to(html).parts:
            pages[path.resolve()] = page = Page()
            page.feed(path.read_text(encoding="utf-8"))
    return pages


def is_external(address: str) -> bool:
    """Whether an address leads to another server."""
    return urlsplit(address).scheme in ("http", "https") or address.startswith("//")


def check_target(path: Path, page: Page, address: str, pages: dict[Path, Page]) -> str:
    """What is wrong with an address inside the book; empty if nothing is."""
    parts = urlsplit(address)
    if parts.scheme or is_external(address):  # another server, mailto:, data:, javascript:
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return "missing file"
    anchor = unquote(parts.fragment)
    return "missing anchor" if anchor and target in pages and anchor not in pages[target].anchors else ""


def check_page(name: str, path: Path, page: Page, pages: dict[Path, Page]) -> list[Problem]:
    """All problems of one page."""
    problems = [Problem(name, "image without alt text", image[:100]) for image in page.images_without_alt]
    problems += [Problem(name, "loaded from another server", asset) for asset in page.assets if is_external(asset)]
    for address in dict.fromkeys(page.links + page.assets):
        if wrong := check_target(path, page, address, pages):
            problems.append(Problem(name, wrong, address))
    return problems


def check_styles(html: Path) -> list[Problem]:
    """Style sheets that load something from another server."""
    return [
        Problem(str(path.relative_to(html)), "loaded from another server", address)
        for path in sorted(html.rglob("*.css"))
        for address in LOADED_BY_CODE.findall(path.read_text(encoding="utf-8"))
    ]


def toc_pages(toc: Path) -> list[str]:
    """Every page that is listed in `_toc.yml`."""

    def walk(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [value for key, value in node.items() if key in ("file", "root")]
            return own + [page for value in node.values() for page in walk(value)]
        return [page for child in node for page in walk(child)] if isinstance(node, list) else []

    return walk(yaml.safe_load(toc.read_text(encoding="utf-8")))


def check_book(html: Path, toc: Path) -> tuple[list[Problem], int]:
    """All problems of a built book, and the number of its pages."""
    pages = read_pages(html)
    problems = [
        Problem(name, "missing page", f"{name}.html")
        for name in toc_pages(toc)
        if (html / f"{name}.html").resolve() not in pages
    ]
    for path, page in pages.items():
        problems += check_page(str(path.relative_to(html.resolve())), path, page, pages)
    return problems + check_styles(html), len(pages)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    html = user_path(arguments[0]) if arguments else ROOT / "_build" / "html"
    if not html.is_dir():
        print(f"book/check_html.py: there is no built book in {html}; run 'make book' first", file=sys.stderr)
        return 1
    problems, count = check_book(html, ROOT / "_toc.yml")
    for problem in problems:
        print(problem)
    print(f"{count} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
