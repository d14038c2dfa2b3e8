"""Every chapter is committed without outputs, has the frame that readers expect, and runs from its first cell."""

from importlib.util import find_spec
from pathlib import Path

import nbformat
import papermill
import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
D4RL_CHAPTERS = ("11", "12", "13", "14")  # they run in D4RL's simulators; all others do without
MANY_IMPORTS = 3  # lines that begin an import
SHORT_CELL = 8  # lines
SECONDS_PER_CELL = 600  # against a cell that hangs; the rule for authors is 30 for a chapter, on an idle machine

every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_chapters():
    assert CHAPTERS, "no chapter in notebooks/: the tests below would pass for want of anything to check"


@every_chapter
def test_is_a_valid_notebook_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    with_output = [cell.source for cell in code_cells(notebook) if cell.outputs or cell.execution_count is not None]
    assert not with_output, "outputs are stored: run nbstripout"
    assert "widgets" not in notebook.metadata, "widget state is stored: run nbstripout"


@every_chapter
def test_has_the_frame_of_a_chapter(path):
    notebook = nbformat.read(path, as_version=4)
    opening = notebook.cells[0]
    assert opening.cell_type == "markdown"
    assert any(line.startswith("# ") for line in opening.source.splitlines()), "the first cell has no title"
    assert "What you will learn" in opening.source

    tagged = [cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1, "one cell has the tag 'parameters'"
    assert tagged[0] is code_cells(notebook)[0], "the parameters come first: nothing is computed before them"
    profile = papermill.inspect_notebook(str(path))["profile"]
    assert profile["default"].strip("\"'") == "quick", "a reader who just runs the chapter gets the profile 'quick'"


@every_chapter
def test_long_imports_are_folded(path):
    """A screen of imports is not what a reader came for: more than a few lines of them are folded on the page."""
    importing = [
        cell
        for cell in code_cells(nbformat.read(path, as_version=4))
        if sum(line.startswith(("import ", "from ")) for line in cell.source.splitlines()) >= MANY_IMPORTS
    ]
    assert importing, "no cell imports what the chapter needs: has the rule lost its object?"
    unfolded = [
        cell.source
        for cell in importing
        if len(cell.source.splitlines()) > SHORT_CELL
        and not {"hide-input", "hide-cell"} & set(cell.metadata.get("tags", []))
    ]
    assert not unfolded, "tag the cell 'hide-input'"


def run(path, folder, **parameters):
    return papermill.execute_notebook(
        str(path),
        str(folder / path.name),
        parameters=parameters,
        kernel_name="python3",
        cwd=str(path.parent),
        progress_bar=False,
        execution_timeout=SECONDS_PER_CELL,
        extra_arguments=["--log-level=CRITICAL"],
    )


@every_chapter
def test_runs_at_the_smoke_profile(path, tmp_path):
    if path.name.startswith(D4RL_CHAPTERS) and find_spec("d4rl") is None:
        with pytest.raises(papermill.PapermillExecutionError, match=r"need Python 3\.10 or 3\.11 and pip install"):
            run(path, tmp_path, profile="smoke")
        return
    executed = run(path, tmp_path, profile="smoke")

    pictures = [
        cell
        for cell in code_cells(executed)
        if any(
            "image/png" in output.get("data", {}) and "text/html" not in output.get("data", {})
            for output in cell.outputs
        )
    ]
    without_alt = [cell.source for cell in pictures if not cell.metadata.get("mystnb", {}).get("image", {}).get("alt")]
    assert not without_alt, "pictures without alt text: set mystnb.image.alt in the cell metadata"

    complaints = [
        output.text for cell in code_cells(executed) for output in cell.outputs if output.get("name") == "stderr"
    ]
    assert not any("Warning" in text for text in complaints), complaints


def test_a_chapter_of_stored_results_shows_some_tasks_alone(tmp_path):
    """None of them of the car, whose parts of the page then stay empty."""
    (path,) = [chapter for chapter in CHAPTERS if chapter.stem == "15_table_1"]
    executed = run(path, tmp_path, profile="quick", tasks='["regen/maze2d-umaze-v1"]')
    shown = "".join(
        output.get("data", {}).get("text/html", "") for cell in code_cells(executed) for output in cell.outputs
    )
    assert "regen/maze2d-umaze-v1" in shown and "regen/hopper" not in shown and "bidirectional-car" not in shown
