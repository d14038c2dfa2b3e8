"""A study runs its trials, looks at what they learned, and keeps what it has done."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sfbc_core.experiments import StudyRecord, TrialConfig, run_study, study_record
from sfbc_core.experiments import study as study_module
from sfbc_core.experiments.study import STUDIES, Study, load_study, record_path, save_record


@pytest.fixture
def looked():
    """Which trials were looked at, in order."""
    return []


@pytest.fixture
def small_study(monkeypatch, tiny_sfbc, looked):
    """Two seeds on the toy maze, looked at by a function that remembers whom it saw."""

    def look(config, agent, task, trajectories):
        looked.append(config.agent.seed)
        return {"critics": len(agent.critics), "targets": len(agent.targets[-1]), "task": task.name}

    def trials(profile):
        agent = replace(tiny_sfbc, planning_iterations=2)
        return [
            TrialConfig("toy-maze", replace(agent, seed=seed), 2, profile, transitions=200, every_iteration=True)
            for seed in (1, 0)
        ]

    module = SimpleNamespace(STUDY=Study("small", trials, look))
    monkeypatch.setitem(STUDIES, "small", "small_study_module")
    monkeypatch.setattr(study_module, "import_module", lambda name: module)


@pytest.mark.usefixtures("small_study")
def test_a_record_holds_scores_of_every_iteration_and_the_look(tmp_path, looked):
    record = run_study("small", "quick", tmp_path)
    assert [trial["config"]["agent"]["seed"] for trial in record["trials"]] == [1, 0]
    for trial in record["trials"]:
        assert len(trial["iterations"]) == 2 and trial["iterations"][-1]["returns"] == trial["returns"]
        assert trial["look"] == {"critics": 2, "targets": 200, "task": "toy-maze"} | {"data": trial["look"]["data"]}
        assert trial["look"]["data"].startswith("200 transitions")
    assert record["command"] == "python -m sfbc_core.experiments small --profile quick"
    assert run_study("small", "quick", tmp_path) == record, "what is done is read, not done again"
    assert looked == [1, 0]


@pytest.mark.usefixtures("small_study")
def test_an_executor_gives_the_same_scores(tmp_path):
    alone = run_study("small", "quick", tmp_path / "alone")
    with ThreadPoolExecutor(2) as executor:
        together = run_study("small", "quick", tmp_path / "together", executor=executor)
    assert [t["returns"] for t in alone["trials"]] == [t["returns"] for t in together["trials"]]


@pytest.mark.usefixtures("small_study")
def test_a_chapter_reads_a_record_if_there_is_one_but_never_at_smoke(tmp_path, looked):
    results = tmp_path / "book" / "results"
    with pytest.raises(FileNotFoundError, match=r"recorded results at .*results, but it is not there.*--cwd notebooks"):
        study_record("small", "quick", results)
    results.mkdir(parents=True)
    made = study_record("small", "quick", results)
    assert made.path == record_path("small", "quick", results) and made.path.exists()
    stored = json.loads(made.path.read_text())
    stored["trials"][0]["normalized_score"] = 123.0
    save_record(stored, made.path)
    assert study_record("small", "quick", results).trials[0]["normalized_score"] == 123.0
    assert looked == [1, 0]
    smoke = study_record("small", "smoke", results)
    assert smoke.path is None and looked == [1, 0, 1, 0]
    assert "while this page was built" in repr(smoke) and "read from small-quick.json" in made._repr_html_()


@pytest.mark.usefixtures("small_study")
def test_a_record_is_read_by_task_and_seed(tmp_path):
    record = StudyRecord(run_study("small", "quick", tmp_path), None)
    assert record.tasks() == ["toy-maze"]
    assert [trial["config"]["agent"]["seed"] for trial in record.of_task("toy-maze")] == [0, 1]
    assert record.origin()["seeds"] == "0, 1" and "2 trials" in record.origin()["training and evaluation"]
    with pytest.raises(ValueError, match=r"no trial of 'maze' in this record; expected one of \['toy-maze'\]"):
        record.of_task("maze")


def test_an_unknown_study_is_refused():
    with pytest.raises(ValueError, match=r"unknown study 'maze'; expected one of .*'maze2d'"):
        load_study("maze")


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_a_committed_record_is_of_the_trials_that_the_study_has_now(name):
    """Or the book would show results of settings that are no longer those of its command."""
    from importlib.util import find_spec
    from pathlib import Path

    from sfbc_core.configuration import config_to_json

    if find_spec("d4rl") is None:
        pytest.skip("the settings of the D4RL tasks need d4rl")
    path = record_path(name, "quick", Path(__file__).resolve().parents[2] / "book" / "results")
    recorded = [trial["config"] for trial in json.loads(path.read_text())["trials"]]
    assert recorded == json.loads(json.dumps([config_to_json(t) for t in load_study(name).trials("quick")]))
