"""Whoever meets a symbol in a chapter finds it on the notation page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from latex_symbols import formulas, symbols

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book" / "notation.md").read_text()
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
FIRST_CELL = re.compile(r"^\* - (.+)$", re.MULTILINE)  # of a row of a list-table
LAST_CELL = re.compile(r"^  - (.*`.*)$", re.MULTILINE)


def symbols_of(text):
    return set().union(*(symbols(formula) for formula in formulas(text)))


def explained(page):
    return symbols_of("\n".join(FIRST_CELL.findall(page)))


def used(path):
    cells = json.loads(path.read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    captions = [cell["metadata"].get("mystnb", {}).get("figure", {}).get("caption", "") for cell in cells]
    return symbols_of("\n\n".join([*texts, *captions]))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_symbol_of_a_chapter_stands_on_the_notation_page(path):
    missing = used(path) - explained(PAGE)
    assert not missing, f"add to the first column of a table in book/notation.md: {sorted(missing)}"


def test_the_chapters_and_the_page_have_symbols():
    assert CHAPTERS
    assert all(used(path) for path in CHAPTERS if not path.name.startswith("12"))  # which is about running things
    assert len(explained(PAGE)) > 50


def test_a_new_symbol_would_be_noticed():
    page = "* - $Q(s, a)$, $Q^*$\n  - mean of $\\zeta$\n  - `q`\n"
    assert explained(page) == {"Q", "s", "a", "Q^{*}"}
    assert symbols_of(r"Now let $\zeta_i = Q^\zeta(s_n, a) - \tilde Q$.") - explained(page) == {
        r"\zeta",
        r"Q^{\zeta}",
        r"\tilde Q",
        "i",
        "n",
    }


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (r"R_n^{(k)} = r_n + \gamma \max\bigl( R_{n+1}^{(k)},\ V_{n+1}^{(k-1)} \bigr)", "R n k r \\gamma V"),
        (r"\pi^* \propto \mu\, e^{\alpha Q} / Z", r"\pi^{*} \mu \alpha Q Z"),
        (r"\frac{\mathrm dx}{\mathrm dt} = -\tfrac12 \beta(t)\, x", r"x t \beta"),
        (r"Q^*_\mu \ne Q_\mu^*", r"Q_{\mu}^{*} \mu"),
        (r"D_{\mathrm{KL}}(\pi^* \| \pi_\theta)", r"D_{\operatorname{KL}} \pi^{*} \pi_{\theta} \theta"),
        (r"\mathbb E_{a \sim \mu}[\hat x_0] \text{ if } T_{vem}", r"\mathbb*E a \mu \hat*x T_{vem}"),
        (r"\gamma^{\,n^* + 1} x_{\lambda}^2", r"\gamma n^{*} x \lambda"),
        (r"\mathrm{TV}(p_M, \varepsilon) \le 1", r"\operatorname{TV} p_{M} M \epsilon"),
    ],
)
def test_symbols_of_formulas_read_by_hand(formula, expected):
    assert symbols(formula) == {name.replace("*E", " E").replace("*x", " x") for name in expected.split()}


def test_code_holds_no_formula():
    assert formulas("`cost $HOME` and $a$\n\n```{exercise} E\n$$\nb\n$$\n```") == ["a", "\nb\n"]


def test_the_names_in_the_code_exist():
    sources = "\n".join(path.read_text() for path in (ROOT / "sfbc_core").rglob("*.py"))
    names = set(re.findall(r"`\"?([A-Za-z_.]+)\"?`", "\n".join(LAST_CELL.findall(PAGE))))
    assert len(names) > 20
    elsewhere = {"wasserstein_distance"}  # SciPy's
    missing = [n for n in names - elsewhere if not re.search(rf"\b{re.escape(n.split('.')[-1])}\b", sources)]
    assert not missing
