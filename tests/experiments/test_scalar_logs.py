"""Losses and scores of a trial while it runs: a CSV file, and the same for TensorBoard."""

from __future__ import annotations

import csv
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import sfbc_core.training
from sfbc_core.experiments import run_trial
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
    for name, step in (("a", 1), ("b", 1)):
        with scalars_logged(tmp_path, trial):
            tell(name, step, 0.125)
    file = log_folder(tmp_path, trial) / "scalars.csv"
    for size in range(len(file.read_bytes())):
        file.write_bytes(b"name,step,value\na,1,0.125\nb,1,0.125\n"[:size])
        with scalars_logged(tmp_path, trial):
            tell("a", 1, 0.125)
            tell("b", 1, 0.125)
        assert file.read_text() == "name,step,value\na,1,0.125\nb,1,0.125\n", size


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
