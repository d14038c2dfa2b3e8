"""What the last cell of a chapter shows."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import nbformat
import pytest

from sfbc_core.book import Provenance
from sfbc_core.book.provenance import PARAMETERS

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def test_a_page_shows_every_fact_by_name(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 100.0)
    provenance = Provenance("smoke", 7)
    monkeypatch.setattr(time, "perf_counter", lambda: 142.0)
    facts = provenance.facts()
    assert facts["profile"] == "smoke" and facts["seed"] == "7" and facts["seconds"] == "42"
    html = provenance._repr_html_()
    assert "<th>profile</th><td>smoke</td>" in html
    assert all(f"<th>{name}</th>" in html and f"{name}: " in repr(provenance) for name in facts)


def test_an_unknown_profile_is_refused_in_the_first_cell():
    with pytest.raises(ValueError, match="got 'fast'"):
        Provenance("fast", 0)


def test_a_parameter_that_nobody_described_is_refused_by_its_name():
    with pytest.raises(TypeError, match=r"expected parameters among \['results'.*got \['alpha'\]"):
        Provenance("smoke", 0, alpha=3)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"seed": "1"},
            "seed must be a whole number, got the string '1': papermill's -p gives numbers and .*, -r strings",
        ),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"seed": True}, "seed must be a whole number, got True"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"profile": 5}, "profile must be one of .*, got 5"),
        ({"results": 5}, "results must be the path of a folder, got 5"),
        ({"train": "True"}, "train must be True or False, got the string 'True'"),
        ({"task_name": 3}, "task_name must be the name of a task, got 3"),
    ],
)
def test_a_parameter_of_another_type_is_refused_in_the_first_cell(changes, message):
    with pytest.raises(ValueError, match=message):
        Provenance(**{"profile": "smoke", "seed": 0, **changes})


def test_the_types_of_parameters_are_those_of_the_chapters():
    """Every parameter that a chapter has is handed to `Provenance`, which knows it and takes the chapter's default."""
    seen = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        (first,) = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
        parameters = {}
        for line in ast.parse(first).body:
            parameters[line.targets[0].id] = ast.literal_eval(line.value)
        others = [name for name in parameters if name not in ("profile", "seed")]
        call = ", ".join(["Provenance(profile, seed", *(f"{name}={name}" for name in others)]) + ")"
        assert sum(call in cell.source for cell in cells) == 1, f"{path.name}: {call}"
        Provenance(**parameters)
        seen |= parameters
    assert seen.keys() == {"profile", *PARAMETERS}
