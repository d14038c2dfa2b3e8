"""Names and labels are text in every HTML that the package gives, whatever they are: a task is called what it is called.

The same thing is made with harmless words and with hostile ones. Read by a parser of HTML, both must have the same elements
and attributes, and the hostile words must be found again, whole, in texts and values.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import sfbc_core
from sfbc_core import CriticConfig, SfBCConfig
from sfbc_core.book import Provenance
from sfbc_core.book.films import Film
from sfbc_core.book.widgets import ActionExplorer, DiffusionExplorer, ValueExplorer
from sfbc_core.book.widgets.book_widget import FOLDER, BookWidget
from sfbc_core.experiments import Trial, provenance
from sfbc_core.experiments.results import Results
from sfbc_core.experiments.tables import score_table

HARMLESS = "umaze"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "&lt;b&gt; & <b>",
)
RICH = ("_repr_html_", "_repr_mimebundle_", "_repr_markdown_", "_repr_svg_", "_repr_javascript_", "_repr_latex_")


def provenance_of(word, monkeypatch):
    monkeypatch.setattr(provenance, "_machine", lambda: word)
    return Provenance("quick", 0)


def results_of(word, monkeypatch):
    facts = {"date": word, "seconds": "1", "versions": word, "machine": word}
    trial = Trial(word, SfBCConfig(critic=CriticConfig(hidden=(4,))), 1, profile="quick")
    line = {"trial": trial.to_json(), "provenance": facts}
    return Results([trial], [line], command=word)


def explorer_of(word, monkeypatch):
    q = np.arange(8.0).reshape(2, 2, 2)
    return ActionExplorer(q, q, title=word, x_label=word, y_label=word, action_label=word)


def values_of(word, monkeypatch):
    values, labels = np.arange(8.0).reshape(2, 2, 2), {"map_label": word, "value_label": word, "reference_label": word}
    return ValueExplorer(values, {word: [word, 2]}, reference=values, title=word, letters={word: (0, 0)}, **labels)


def diffusion_of(word, monkeypatch):
    return DiffusionExplorer(start=np.array([-1.0, 1.0]), title=word, x_label=word)


CASES = {  # a new class with HTML of its own belongs here, made with the word wherever it takes one
    Film: [
        lambda word, _: Film(word, b"", word, word, word),
        lambda word, _: Film("video/mp4", b"", word, word),
        lambda word, _: Film("image/png", b"", word),
    ],
    Provenance: [provenance_of],
    Results: [results_of],
    ActionExplorer: [explorer_of],
    ValueExplorer: [values_of],
    DiffusionExplorer: [diffusion_of],
}


class Reader(HTMLParser):
    """The elements with the names of their attributes, and all text and values."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, [name for name, _ in attributes]))
        self.words += [value or "" for _, value in attributes]

    def handle_endtag(self, tag):
        self.elements.append(f"/{tag}")

    def handle_data(self, data):
        self.words.append(data)

    def handle_comment(self, data):
        self.elements.append("comment")


def html_of(thing) -> str:
    return thing._repr_html_() if hasattr(thing, "_repr_html_") else thing._repr_mimebundle_()[0]["text/html"]


def has_rich_output(kind: type) -> bool:
    """Whether a class of the package, or one of its bases there, defines what a notebook shows of it."""
    ours = [base for base in kind.__mro__ if base.__module__.startswith("sfbc_core")]
    return any(name in vars(base) for base in ours for name in RICH)


def rich_classes() -> set[type]:
    found = set()
    for module in pkgutil.walk_packages(sfbc_core.__path__, "sfbc_core."):
        try:
            members = vars(importlib.import_module(module.name))
        except ImportError as error:  # of an extra that is not installed
            assert not (error.name or "").startswith("sfbc_core"), error
            continue
        kinds = [kind for kind in members.values() if inspect.isclass(kind) and kind.__module__ == module.name]
        found |= {kind for kind in kinds if has_rich_output(kind)}
    return found


def test_every_class_with_html_of_its_own_has_a_case():
    assert rich_classes() - {BookWidget} == set(CASES)  # of which there are only subclasses


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize(
    "make", [make for makes in CASES.values() for make in makes], ids=lambda make: make.__qualname__.split(".")[0]
)
def test_words_stay_words(make, hostile, monkeypatch):
    tame, wild = (Reader(html_of(make(word, monkeypatch))) for word in (HARMLESS, hostile))
    assert tame.elements == wild.elements
    said = "\n".join(wild.words)
    # In the data of a widget they are JSON, in which "<" and quotes are written in other ways.
    said += "\n".join(leaves(json.loads(word)) for word in wild.words if word.startswith('{"data"'))
    assert said.count(hostile) >= "\n".join(tame.words).count(HARMLESS) > 0


def leaves(value) -> str:
    """All text in a value that came from JSON."""
    if isinstance(value, dict):
        return "\n".join(f"{key}\n{leaves(item)}" for key, item in value.items())
    return "\n".join(map(leaves, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_tables_of_results_show_names_as_text(hostile):
    def frame(word):
        names = {"task": [word], "method": [word], "variant": [word], "seed": [0], "score": [1.0]}
        return pd.DataFrame(names)

    for table in (frame, lambda word: score_table(frame(word))):
        tame, wild = (Reader(table(word)._repr_html_()) for word in (HARMLESS, hostile))
        assert tame.elements == wild.elements
        assert "\n".join(wild.words).count(hostile) == "\n".join(tame.words).count(HARMLESS) > 0


def test_the_widgets_write_no_html():
    """What turns text into elements in a browser. `createElement` and `append` take text as text."""
    for path in FOLDER.glob("*.js"):
        source = path.read_text(encoding="utf-8")
        for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval("):
            assert name not in source, f"{name} in {path.name}"
        assert "createContextualFragment" not in source and "</script" not in source.lower()
