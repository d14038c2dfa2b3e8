"""``python -m sfbc_core.experiments``: what it writes, and what it says of a wrong call."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor

import pytest

from sfbc_core.experiments import __main__ as command
from sfbc_core.experiments import study as study_module


@pytest.fixture
def asked(monkeypatch):
    """The calls of run_study, which here trains nothing."""
    calls = []

    def run(name, profile, folder, **options):
        calls.append((name, profile, str(folder), options))
        provenance = {"seconds": "60", "seed": "0", "date": "2026-01-01", "versions": "one", "machine": "two"}
        config = {"task": "toy", "agent": {"seed": 0}}
        trial = {"config": config, "provenance": provenance, "normalized_score": 12.3}
        return {"study": name, "profile": profile, "command": "this", "trials": [trial]}

    monkeypatch.setattr(command, "run_study", run)
    return calls


def test_it_writes_the_record_and_prints_the_scores(asked, tmp_path, capsys):
    arguments = ["maze2d", "--profile", "smoke", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path)]
    assert command.main([*arguments, "--data-folder", "data", "--device", "cpu"]) == 0
    name, profile, folder, options = asked[0]
    assert (name, profile, folder) == ("maze2d", "smoke", str(tmp_path / "runs"))
    assert options == {"data_folder": "data", "executor": None, "device": "cpu"}
    assert json.loads((tmp_path / "maze2d-smoke.json").read_text())["study"] == "maze2d"
    printed = capsys.readouterr().out
    assert "toy  seed 0  score 12.3" in printed and str(tmp_path / "maze2d-smoke.json") in printed


def test_jobs_are_processes_with_a_pool_of_their_own(asked, tmp_path):
    command.main(["maze2d", "--jobs", "2", "--runs", str(tmp_path), "--output", str(tmp_path)])
    executor = asked[0][3]["executor"]
    assert isinstance(executor, ProcessPoolExecutor) and executor._max_workers == 2
    assert executor._mp_context.get_start_method() == "spawn"
    with pytest.raises(SystemExit):
        command.main(["maze2d", "--jobs", "0"])


def test_a_wrong_call_ends_with_a_message(monkeypatch, tmp_path, capsys):
    def fail(*_, **__):
        raise FileNotFoundError("no regenerated data of antmaze-umaze-v2")

    monkeypatch.setattr(command, "run_study", fail)
    with pytest.raises(SystemExit) as ended:
        command.main(["antmaze", "--runs", str(tmp_path), "--output", str(tmp_path)])
    assert ended.value.code == 2
    assert "no regenerated data of antmaze-umaze-v2" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["chess"])
    assert "invalid choice: 'chess'" in capsys.readouterr().err
    assert sorted(study_module.STUDIES) == ["antmaze", "locomotion", "maze2d"]
