"""A suite runs what is missing, stores each trial as it is done, and chapters read it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sfbc_core import SfBC
from sfbc_core.experiments import Trial, run_suite, running, suite_results
from sfbc_core.experiments import __main__ as command
from sfbc_core.experiments.results import read_lines
from sfbc_core.experiments.suites import SUITES, Suite


@pytest.fixture
def measured():
    """Of which seeds something was measured, in order."""
    return []


@pytest.fixture(autouse=True)
def small_suite(monkeypatch, tiny_sfbc, measured):
    """Two seeds on the toy maze, with a measurement that remembers whom it saw."""

    def count(trial, agent, task, data):
        measured.append(trial.seed)
        return {"critics": len(agent.critics), "task": task.name, "rows": len(data)}

    def trials(profile):
        config = replace(tiny_sfbc, planning_iterations=2)
        variants = {f"K = {k}": {"iteration": k} for k in (1, 2)}
        return [
            Trial("toy-maze", replace(config, seed=seed), 2, variants, transitions=200, profile=profile)
            for seed in (1, 0)
        ]

    monkeypatch.setitem(SUITES, "small", Suite(trials, {"count": count}))


def test_every_trial_is_run_measured_and_stored_once(tmp_path, measured):
    results = run_suite("small", "quick", tmp_path / "runs", tmp_path / "results")
    assert [trial.seed for trial in results.trials] == [1, 0] and not results.missing
    counts = results.measured("count")
    assert counts["toy-maze", "SfBC", 1] == {"critics": 2, "task": "toy-maze", "rows": 200}
    assert measured == [1, 0]
    again = run_suite("small", "quick", tmp_path / "runs", tmp_path / "results")
    assert measured == [1, 0] and again.frame().equals(results.frame())
    with pytest.raises(ValueError, match=r"no measurement 'films' of toy-maze; expected one of \['count'\]"):
        results.measured("films")


def test_a_measurement_that_was_added_later_is_made(tmp_path, monkeypatch, measured):
    run_suite("small", "quick", tmp_path / "runs", tmp_path / "results")
    more = {**SUITES["small"].measurements, "name": lambda trial, agent, task, data: task.name}
    monkeypatch.setitem(SUITES, "small", replace(SUITES["small"], measurements=more))
    results = run_suite("small", "quick", tmp_path / "runs", tmp_path / "results")
    assert set(results.measured("name")) == {"toy-maze"} and measured == [1, 0], "and the other is not made again"


def test_what_was_stored_before_a_trial_failed_stays(tmp_path, monkeypatch):
    real = SUITES["small"].measurements["count"]

    def fails(trial, *rest):
        if trial.seed == 0:
            raise RuntimeError("the power went")
        return real(trial, *rest)

    monkeypatch.setitem(SUITES, "small", replace(SUITES["small"], measurements={"count": fails}))
    with pytest.raises(RuntimeError, match="the power went"):
        run_suite("small", "quick", tmp_path / "runs", tmp_path / "results")
    assert [line["provenance"]["seed"] for line in read_lines(tmp_path / "results" / "small.jsonl")] == ["1"]


def test_an_executor_gives_the_same_scores(tmp_path):
    alone = run_suite("small", "quick", tmp_path / "alone", tmp_path / "results")
    with ThreadPoolExecutor(2) as executor:
        together = run_suite("small", "quick", tmp_path / "together", tmp_path / "others", executor=executor)
    assert alone.frame().equals(together.frame())


def test_a_chapter_reads_what_is_stored_but_makes_it_at_smoke(tmp_path, measured):
    with pytest.raises(
        FileNotFoundError, match=r"-p results FOLDER.*python -m sfbc_core\.experiments run small --profile quick"
    ):
        suite_results("small", "quick", tmp_path)
    run_suite("small", "quick", tmp_path / "runs", tmp_path, trials=SUITES["small"].trials("quick")[:1])
    read = suite_results("small", "quick", tmp_path)
    assert [trial.seed for trial in read.trials] == [1] and [trial.seed for trial in read.missing] == [0]
    assert "read from a file" in repr(read) and measured == [1]
    assert suite_results("small", "quick", tmp_path, "toy-maze").trials == read.trials
    for tasks in ("", [], ["toy-maze"], '["toy-maze"]'):
        assert suite_results("small", "quick", tmp_path, tasks).trials == read.trials
    for profile in ("quick", "smoke"):
        with pytest.raises(ValueError, match=r"'small' has no task 'antmaze'; expected one of \['toy-maze'\]"):
            suite_results("small", profile, tmp_path, "antmaze")
    smoke = suite_results("small", "smoke", tmp_path)
    assert len(smoke.trials) == 2 and "while this page was built" in repr(smoke) and measured == [1, 1, 0]
    assert smoke.measured("count")["toy-maze", "SfBC", 0]["rows"] == 200, "although its folder is gone"


def test_the_command_runs_lists_and_prints_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = ["--results", str(tmp_path / "results")]
    assert command.main(["run", "small", "--seeds", "0", *folder]) == 0
    done = capsys.readouterr()
    assert re.search(r"\[1/1\] toy-maze, SfBC, seed 0 0\.\d min$", done.err, re.MULTILINE), (
        "it is not silent until the end"
    )
    assert "| toy-maze | SfBC     | K = 1" in done.out and "small.jsonl" in done.out
    assert command.main(["list", "small", *folder]) == 0
    stored, missing = capsys.readouterr().out.splitlines()
    assert re.match(r"stored +\d\.\d min  \w{12}  toy-maze, SfBC, seed 0$", stored)
    assert missing.startswith("missing ") and missing.endswith("seed 1")
    assert command.main(["table", "small", "--seeds", "1", *folder]) == 0
    assert "nothing is stored" in capsys.readouterr().out
    assert command.main(["table", "small", *folder]) == 0
    assert "K = 2" in capsys.readouterr().out


def test_the_command_reads_the_packages_results_where_there_are_none(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main(["list", "beyond"]) == 0
    assert "stored" in capsys.readouterr().out
    (tmp_path / "book" / "results").mkdir(parents=True)
    assert command.main(["list", "beyond"]) == 0
    assert "stored" not in capsys.readouterr().out


def test_it_says_how_much_work_is_left(tmp_path, capsys, monkeypatch):
    trials, run = SUITES["small"].trials("quick"), running.run_trial

    def slow(trial, *rest, **options):
        result = run(trial, *rest, **options)
        return {**result, "provenance": {**result["provenance"], "seconds": "600"}}

    monkeypatch.setattr(running, "run_trial", slow)
    run_suite("small", "quick", tmp_path / "runs", tmp_path / "results", trials=trials, progress=True)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert said == [
        "[1/2] toy-maze, SfBC, seed 1 10.0 min; 1 left, if they are like these 10 min of work",
        "[2/2] toy-maze, SfBC, seed 0 10.0 min",
    ]


def test_labels_choose_rows(capsys, monkeypatch, tmp_path):
    def trials(profile):
        return [replace(trial, label=name) for trial, name in zip(small(profile), ("one", "the other"), strict=True)]

    small = SUITES["small"].trials
    monkeypatch.setitem(SUITES, "small", replace(SUITES["small"], trials=trials))
    assert command.main(["list", "small", "--labels", "the other", "--results", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("toy-maze, the other, seed 0")


def test_a_wrong_call_ends_with_a_message(monkeypatch, tmp_path, capsys):
    for arguments, message in (
        (["run", "chess"], "invalid choice: 'chess'"),
        (["run", "small", "--jobs", "0"], "--jobs must be at least 1, got 0"),
        (["run", "small", "--seeds", "7"], r"--seeds: [7] is not in the suite small; expected some of [1, 0]"),
        (["list", "small", "--tasks", "chess"], "--tasks: ['chess'] is not in the suite small"),
        (["run", "small", "--labels", "BC"], "--labels: ['BC'] is not in the suite small; expected some of ['SfBC']"),
    ):
        with pytest.raises(SystemExit):
            command.main(arguments)
        assert message in capsys.readouterr().err

    def fail(*_, **__):
        raise FileNotFoundError("no regenerated data of antmaze-umaze-v2")

    monkeypatch.setattr(command, "run_suite", fail)
    with pytest.raises(SystemExit) as ended:
        command.main(["run", "small", "--runs", str(tmp_path)])
    assert ended.value.code == 2 and "no regenerated data of antmaze" in capsys.readouterr().err


def test_a_trial_that_another_suite_has_stored_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setitem(SUITES, "another", Suite(SUITES["small"].trials))
    run_suite("small", "quick", tmp_path / "runs", tmp_path / "results", trials=SUITES["small"].trials("quick")[:1])
    results = run_suite("another", "quick", tmp_path / "none", tmp_path / "results")
    assert not results.missing
    assert [line["provenance"]["seed"] for line in read_lines(tmp_path / "results" / "another.jsonl")] == ["0"]


def test_the_command_prints_a_table_of_the_paper(tmp_path, capsys, monkeypatch):
    def trials(profile):
        variants = {f"as configured, K = {k}": {"iteration": k} for k in (1, 2)}
        return [replace(trial, variants=variants, label="diffusion") for trial in small(profile)]

    small = SUITES["small"].trials
    monkeypatch.setitem(SUITES, "ablations", Suite(trials))
    folder = ["--results", str(tmp_path / "results")]
    assert command.main(["table", "4", *folder]) == 0
    assert "python -m sfbc_core.experiments run ablations --profile quick makes them" in capsys.readouterr().out
    run_suite("ablations", "quick", tmp_path / "runs", tmp_path / "results", trials=trials("quick")[:1])
    assert command.main(["table", "4", "--format", "csv", *folder]) == 0
    out = capsys.readouterr()
    assert "toy-maze,without planning," in out.out and "1 trials of this table are not stored" in out.err


def test_the_command_shows_a_trial_and_how_to_make_it_again(tmp_path, capsys, monkeypatch):
    # To look for a trial in all of them takes a minute with type checks.
    for name in set(SUITES) - {"small", "toy-maze"}:
        monkeypatch.delitem(SUITES, name)
    trained, fit = [], SfBC.fit
    trial, missing = SUITES["small"].trials("quick")
    run_suite("small", "quick", tmp_path / "runs", tmp_path / "results", trials=[trial])
    assert command.main(["show", trial.identity, "--results", str(tmp_path / "results")]) == 0
    shown = capsys.readouterr().out
    again = "run small --profile quick --tasks toy-maze --seeds 1 --labels SfBC --runs again/runs --results again"
    assert f"command: python -m sfbc_core.experiments {again}" in shown
    assert '"planning_iterations": 2' in shown and "| K = 2 " in shown
    made = shown.split("sfbc_core.experiments ")[1].splitlines()[0].split()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SfBC, "fit", lambda *rest, **more: trained.append(trial.seed) or fit(*rest, **more))
    assert command.main(made) == 0 and trained == [1], "made again, though it is stored and its training kept"
    assert command.main(["show", missing.identity, "--results", str(tmp_path / "results")]) == 0
    assert "missing: 1 trials" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["show", "0123456789ab"])
    assert "no suite has a trial '0123456789ab'" in capsys.readouterr().err
