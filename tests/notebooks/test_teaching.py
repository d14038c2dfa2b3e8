"""Every chapter opens with what it takes, and closes with graded exercises, a summary and where to read on."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
GRADES = ("easy", "medium", "hard")
NOT_SHOWN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
WORDS_A_MINUTE, MINUTES_A_CELL, MINUTES_AN_EXERCISE = 200, 0.5, 3

every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


def markdown_of(cells):
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def exercises(cells):
    """Title and label of each, in the order of the chapter."""
    return re.findall(r"^```\{exercise\} (.+)\n:label: (\S+)$", markdown_of(cells), re.MULTILINE)


def section(cells, title):
    """The text under a heading, up to the next."""
    _, found, after = markdown_of(cells).partition(f"## {title}\n")
    assert found, f"no section '{title}'"
    return after.split("\n## ")[0].strip()


def minutes(cells):
    """How long a reader takes who tries the exercises and looks at each cell of code, but for those of solutions."""
    shown, in_solution = 0, False
    for cell in cells:
        if cell.cell_type == "markdown" and "{solution-" in cell.source:
            in_solution = "{solution-start}" in cell.source
        elif cell.cell_type == "code" and not in_solution:
            shown += not NOT_SHOWN & set(cell.metadata.get("tags", []))
    words = len(markdown_of(cells).split())
    return words / WORDS_A_MINUTE + shown * MINUTES_A_CELL + len(exercises(cells)) * MINUTES_AN_EXERCISE


@every_chapter
def test_opens_with_what_it_takes(path):
    cells = cells_of(path)
    _, listed, rest = cells[0].source.partition("**What you will learn**\n\n")
    learnt, found, box = rest.partition("\n\n```{admonition} Before you start\n:class: tip\n\n")
    assert listed and found, "the first cell has the list of what one learns and then the box 'Before you start'"
    assert all(line.startswith(("- ", "  ")) for line in learnt.splitlines()), "the box stands right after the list"
    form = r"\*\*Time\*\*: about (\d+) minutes to read; the code takes .+ on one core\. \*\*You need\*\*: .+\.\n```"
    said = re.fullmatch(form, box.strip())
    assert said, f"the box says the time and what one needs: {box}"
    expected = minutes(cells)
    assert abs(int(said[1]) - expected) <= 5 + expected / 10, f"{said[1]} minutes are said, {expected:.0f} counted"


@every_chapter
def test_has_graded_exercises_with_solutions(path):
    cells = cells_of(path)
    found = exercises(cells)
    assert 3 <= len(found) <= 5, found
    graded = [re.fullmatch(r".+ \((\w+)\)", title) for title, _ in found]
    assert all(graded), f"each title ends with its grade: {found}"
    grades = [GRADES.index(title[1]) for title in graded]
    assert grades == sorted(grades), f"the easy ones come first: {found}"
    text = markdown_of(cells)
    solved = re.findall(r"^```\{solution(?:-start)?\} (\S+)\n:class: dropdown$", text, re.MULTILINE)
    assert solved == [label for _, label in found], "each exercise is followed by its solution, folded"
    assert text.count("{solution-start}") == text.count("{solution-end}")


@every_chapter
def test_closes_in_short_and_says_where_to_read_on(path):
    cells = cells_of(path)
    bullets = section(cells, "In short").splitlines()
    assert 3 <= len(bullets) <= 5, bullets
    assert all(bullet.startswith("- ") and bullet.endswith(".") for bullet in bullets), bullets
    last = section(cells, "What to read next")
    assert "{ref}`ch-" in last, "a chapter to go on with"
    assert re.search(r"\{cite:[tp]\}`", last), "and something that others have written"
    headings = re.findall(r"^## (.+)$", markdown_of(cells), re.MULTILINE)
    assert headings[-3:] == ["Exercises", "In short", "What to read next"]
