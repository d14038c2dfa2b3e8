"""MyST as plain Markdown: what a chapter says, for a notebook that is read without the book around it.

The book's directives and roles show as raw text in Jupyter, Colab or VS Code. Here each becomes what the page shows in its
place: an exercise a heading, a reference the title that it points to, a citation its authors and year. What is not known is
refused, so that nothing raw is ever offered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

DIRECTIVE = re.compile(r"^```\{([\w-]+)\}[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROLE = re.compile(r"\{([a-z:]+)\}`([^`]+)`")
LABEL = re.compile(r"^\([\w-]+\)=\n", re.MULTILINE)
LABELLED_EQUATION = re.compile(r"\s*^\$\$ \(([\w-]+)\)$", re.MULTILINE)
PAGE_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")
OPTION = re.compile(r"^:[\w-]+:.*\n", re.MULTILINE)
GATES = ("solution-end",)  # a cell that only closes something


@dataclass(frozen=True)
class Book:
    """What the roles of a chapter point to.

    Attributes:
        titles: of sections and exercises, by label.
        numbers: of figures and equations, by label.
        authors: of what is cited, and its year, by key.
    """

    titles: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    authors: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def plain(text: str, book: Book) -> str:
    """The Markdown that says the same without the book.

    Raises:
        ValueError: a directive or role that is not known, or that points to what is not there.
    """
    text = DIRECTIVE.sub(lambda found: _directive(*found.groups()), LABEL.sub("", text))
    text = LABELLED_EQUATION.sub(lambda found: f" \\tag{{{_of(book.numbers, found[1])}}}\n$$", text)
    text = ROLE.sub(lambda found: _role(found[1], found[2], book), text)
    if raw := re.search(r"^(?:```|:::)\{.*|\{[a-z:]+\}`", text, re.MULTILINE):
        raise ValueError(f"not known outside of the book: {raw[0]!r}; teach it to book/_ext/portable.py")
    return PAGE_LINK.sub(r"\1", text)


def cited(text: str) -> list[str]:
    """The keys that a text cites, in its order."""
    return [key for role, keys in ROLE.findall(text) if role.startswith("cite") for key in _keys(keys)]


def _keys(keys: str) -> list[str]:
    return [key.strip() for key in keys.split(",")]


def _of(known: Mapping[str, str], name: str) -> str:
    if name not in known:
        raise ValueError(f"nothing in the book has the label {name!r}")
    return known[name]


def _directive(name: str, argument: str, body: str) -> str:
    body = OPTION.sub("", body).strip("\n")
    if name in GATES:
        return ""
    if name == "exercise":
        return f"### Exercise: {argument}\n\n{body}"
    if name == "solution-start":
        return "**Solution**"
    if name == "solution":
        return f"**Solution**\n\n{body}"
    if name == "admonition":
        return "\n".join(f"> {line}".rstrip() for line in (f"**{argument}**", "", *body.splitlines()))
    if name == "list-table":
        return _table(body)
    raise ValueError(f"the directive {name!r} is not known outside of the book; teach it to book/_ext/portable.py")


def _table(body: str) -> str:
    """A list of lists as a Markdown table, its first row the head."""
    rows: list[list[str]] = []
    for line in body.splitlines():
        if line.startswith("* - "):
            rows.append([line[4:]])
        elif line.startswith("  - "):
            rows[-1].append(line[4:])
        elif line.strip():
            rows[-1][-1] += f" {line.strip()}"
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _role(role: str, content: str, book: Book) -> str:
    shown = {
        "ref": lambda: _reference(content, lambda label: f"*{_of(book.titles, label)}*"),
        "numref": lambda: _of(book.numbers, content),
        "eq": lambda: f"({_of(book.numbers, content)})",
        "cite:t": lambda: " and ".join(f"{who} ({year})" for who, year in _works(content, book)),
        "cite:p": lambda: f"({'; '.join(f'{who}, {year}' for who, year in _works(content, book))})",
    }
    if role.startswith("py:"):
        return _reference(content, lambda target: f"`{target.rpartition('.')[2] if target[0] == '~' else target}`")
    if role not in shown:
        raise ValueError(f"the role {role!r} is not known outside of the book; teach it to book/_ext/portable.py")
    return shown[role]()


def _reference(content: str, name: Callable[[str], str]) -> str:
    """The text before a target in angle brackets, or the name of what is pointed to."""
    with_text = re.fullmatch(r"(.+?)\s*<[^>]+>", content, re.DOTALL)
    return with_text[1] if with_text else name(content)


def _works(keys: str, book: Book) -> list[tuple[str, str]]:
    for key in _keys(keys):
        if key not in book.authors:
            raise ValueError(f"the bibliography has no {key!r}")
    return [book.authors[key] for key in _keys(keys)]
