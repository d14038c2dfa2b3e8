"""Losses and scores of a trial while it runs: a CSV file, and the same for TensorBoard."""

from __future__ import annotations

import csv
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import sfbc_core.training
from sfbc_core.experiments import run_trial, trial_run
from sfbc_core.experiments.scalar_logs import log_folder, scalars_logged
from sfbc_core.experiments.trial_run import trained_agent
from sfbc_core.scalars import listening, part, tell


def rows_of(folder):
    with open(folder / "scalars.csv", newline="", encoding="utf-8") as file:
        return [(row["name"], int(row["step"]), float(row["value"])) for row in csv.DictReader(file)]


def events_of(folder):
    """What TensorBoard shows of a folder; it keeps values in single precision."""
    events = EventAccumulator(str(folder)).Reload()
    names = events.Tags()["scalars"]
    return {(name, event.step): event.value for name in names for event in events.Scalars(name)}


def test_scalars_are_heard_with_the_part_that_they_are_of():
    heard = []
    tell("loss", 1, 0.5)  # nobody listens
    with listening(lambda *scalar: heard.append(scalar)), part("critic-1"):
        tell("loss", 2, 0.25)
        with listening(None):
            tell("loss", 3, 0.1)
    tell("loss", 4, 0.0)
    assert heard == [("critic-1/loss", 2, 0.25)]


def test_a_trial_writes_its_losses_and_scores(tmp_path, trial):
    result = run_trial(trial, tmp_path / "runs", logs=tmp_path / "logs")
    (folder,) = (tmp_path / "logs").iterdir()
    assert folder.name == f"bidirectional-car-SfBC-seed-3-{trial.identity}"
    rows = rows_of(folder)
    agent = trained_agent(trial, tmp_path / "runs", trial.load_data())
    for name, model in (("behavior/behavior", agent.behavior), ("critic-1/q", agent.critics[1])):
        assert [value for of, _, value in rows if of == name] == model.history
        assert [step for of, step, _ in rows if of == name] == [7, 14, 21, 28, 30]  # a mean every 7 of 30 steps
    low, high = result["reference_returns"]
    for variant, iteration in (("K = 1", 1), ("any", 0)):
        mean = sum(result["variants"][variant]["returns"]) / trial.episodes
        assert (f"score/{variant}", iteration, pytest.approx(100 * (mean - low) / (high - low))) in rows
    assert events_of(folder) == {(name, step): pytest.approx(value, rel=1e-6) for name, step, value in rows}


def test_a_training_that_was_killed_writes_nothing_twice(tmp_path, trial, monkeypatch):
    run_trial(trial, tmp_path / "runs", logs=tmp_path / "whole")
    store, stored = sfbc_core.training.store_checkpoint, []

    def killed(path, *rest):
        store(path, *rest)
        stored.append(path)
        if len(stored) == 4:  # the second of the first critic, after 20 of 30 steps, when the log has 14
            raise KeyboardInterrupt

    monkeypatch.setattr(sfbc_core.training, "store_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        run_trial(trial, tmp_path / "again", logs=tmp_path / "logs")
    assert rows_of(log_folder(tmp_path / "logs", trial))[-1][:2] == ("critic-0/q", 14)
    run_trial(trial, tmp_path / "again", logs=tmp_path / "logs")
    assert rows_of(log_folder(tmp_path / "logs", trial)) == rows_of(log_folder(tmp_path / "whole", trial))


def test_a_line_that_a_kill_cut_short_is_written_again(tmp_path, trial):
    file = log_folder(tmp_path, trial) / "scalars.csv"
    whole = 'name,step,value\na,1,0.125\n"score/softmax, α = 20",1,0.125\n'
    file.parent.mkdir()
    for size in range(len(whole.encode())):
        file.write_bytes(whole.encode()[:size])
        with scalars_logged(tmp_path, trial):
            tell("a", 1, 0.125)
            tell("score/softmax, α = 20", 1, 0.125)
        assert file.read_text(encoding="utf-8") == whole, size


def test_another_value_than_the_log_has_is_warned_of_and_the_log_stays(tmp_path, trial):
    with scalars_logged(tmp_path, trial):
        tell("a", 1, 0.125)
    with pytest.warns(UserWarning, match=r"scalars\.csv has 0\.125 for 'a' at step 1, now it is 0\.25"):
        with scalars_logged(tmp_path, trial):
            tell("a", 1, 0.25)
            tell("a", 2, 0.5)
    assert rows_of(log_folder(tmp_path, trial)) == [("a", 1, 0.125), ("a", 2, 0.5)]


def test_a_score_that_was_stored_just_before_a_kill_is_told(tmp_path, trial, monkeypatch):
    def killed(name, step, value):
        if name == "score/K = 2":
            raise KeyboardInterrupt
        tell(name, step, value)

    with monkeypatch.context() as patched:
        patched.setattr(trial_run, "tell", killed)
        with pytest.raises(KeyboardInterrupt):
            run_trial(trial, tmp_path / "runs", logs=tmp_path / "logs")
    run_trial(trial, tmp_path / "runs", logs=tmp_path / "logs")
    rows = rows_of(log_folder(tmp_path / "logs", trial))
    assert [name for name, _, _ in rows if name.startswith("score")] == ["score/K = 1", "score/K = 2", "score/any"]


def test_another_file_of_that_name_is_refused_and_kept(tmp_path, trial):
    file = log_folder(tmp_path, trial) / "scalars.csv"
    file.parent.mkdir()
    for text in ("my,own,table\n1,2,3\n", "name,step,value\na,first,0.1\n", "name,step,value\na,1\n"):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"scalars\.csv is not a log of scalars"), scalars_logged(tmp_path, trial):
            pass
        assert file.read_text() == text


def test_without_tensorboard_there_is_the_file(tmp_path, trial, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with scalars_logged(tmp_path, trial):
        tell("a", 1, 0.5)
    assert [path.name for path in log_folder(tmp_path, trial).iterdir()] == ["scalars.csv"]
