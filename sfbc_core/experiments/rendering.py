"""A table of cells as text: Markdown, LaTeX, HTML or CSV."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import pandas as pd

FORMATS = ("markdown", "latex", "html", "csv")
MISSING = "–"  # no trial of this cell is stored
IN_THE_PAPER = "{}, in the paper"  # the head of a column of what the paper reports


def rendered(table: pd.DataFrame, kind: str = "markdown", *, across: str = "columns") -> str:
    """A table for people: mean ± deviation over seeds, in bold what is close to the best of its task.

    Args:
        table: of cells, as the functions of :mod:`~sfbc_core.experiments.paper_tables` give it.
        kind: "markdown", "latex", "html", where a cell says on hovering which trials it is the mean of, or "csv", which has
            a row for each cell and all that is known of it.
        across: "columns" for a row for each task, or "tasks" for a column for each.

    Raises:
        ValueError: another kind, or another way across.
    """
    if kind not in FORMATS:
        raise ValueError(f"kind must be one of {FORMATS}, got {kind!r}")
    if across not in ("columns", "tasks"):
        raise ValueError(f"across must be 'columns' or 'tasks', got {across!r}")
    if kind == "csv":
        return table.to_csv()
    grid = _grid(table, *WORDS[kind], across)
    if kind == "markdown":
        return grid.to_markdown(disable_numparse=True)
    if kind == "html":
        return grid.to_html(escape=False, border=0)
    return grid.to_latex(escape=False, column_format="l" + "r" * len(grid.columns))


def _grid(
    table: pd.DataFrame, of_cell: Callable[[pd.Series], str], of_text: Callable[[str], str], across: str
) -> pd.DataFrame:
    """The words of all cells, and what the paper reports in a column beside those of which it does."""
    ours, paper = {}, {}
    for (task, column), cell in table.iterrows():
        key = (task, str(column)) if across == "columns" else (str(column), task)  # line and head
        ours[key], paper[key] = of_cell(cell), of_text(cell.get("paper", ""))
    lines, heads = list(dict.fromkeys(task for task, _ in table.index)), _columns(table)
    if across == "tasks":
        lines, heads = heads, lines
    grid = {}
    for head in heads:
        grid[of_text(head)] = [ours.get((line, head), of_text(MISSING)) for line in lines]
        reported = [paper.get((line, head), "") for line in lines]
        if any(reported):
            grid[of_text(IN_THE_PAPER.format(head))] = reported
    return pd.DataFrame(grid, index=list(map(of_text, lines)))


def _columns(table: pd.DataFrame) -> list[str]:
    """The names of the columns, so that each task has its own in order; not every task has all."""
    names: list[str] = []
    for _, of_task in table.groupby(level=0, sort=False):
        place = 0
        for name in map(str, of_task.index.get_level_values(1)):
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return names


def _score(cell: pd.Series) -> str:
    deviation = "" if pd.isna(cell["deviation"]) else f" ± {cell['deviation']:.1f}"
    note = f" ({cell['note']})" if cell.get("note") else ""
    return f"{cell['mean']:.1f}{deviation}{note}"


def _in_markdown(cell: pd.Series) -> str:
    return f"**{_score(cell)}**" if cell["best"] else _score(cell)


def _in_latex(cell: pd.Series) -> str:
    score = _for_latex(_score(cell))
    return rf"\textbf{{{score}}}" if cell["best"] else score


def _in_html(cell: pd.Series) -> str:
    source = f"{cell['data']} data, {cell['profile']}, seeds {cell['seeds']}, trials {cell['trials']}"
    tag = "b" if cell["best"] else "span"
    return f'<{tag} title="{escape(source)}">{_score(cell)}</{tag}>'


def _for_latex(text: str) -> str:
    for sign in "&%#_":
        text = text.replace(sign, "\\" + sign)
    return text.replace("±", r"$\pm$").replace("τ", r"$\tau$").replace(MISSING, "--")


# What becomes of a cell, and of any other text.
WORDS: dict[str, tuple[Callable[[pd.Series], str], Callable[[str], str]]] = {
    "markdown": (_in_markdown, str),
    "latex": (_in_latex, _for_latex),
    "html": (_in_html, escape),
}
