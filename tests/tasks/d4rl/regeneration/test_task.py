"""`load_task("regen/…")` and the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

h5py = pytest.importorskip("h5py", reason="h5py is in the extra sfbc-core[d4rl]")

from sfbc_core import load_task, task_names
from sfbc_core.environments import step_limit
from sfbc_core.tasks.d4rl.regeneration.__main__ import main
from sfbc_core.tasks.d4rl.regeneration.recipes import SIZES
from sfbc_core.tasks.registry import REGENERATED


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "d4rl"))
    monkeypatch.setenv("SFBC_CACHE_DIR", str(tmp_path / "cache"))


def test_a_folder_to_read_from_and_data_to_make_anew_exclude_each_other(tmp_path):
    with pytest.raises(ValueError, match="either a folder to read regen/maze2d-umaze-v1 from, or transitions and seed"):
        load_task("regen/maze2d-umaze-v1").load_trajectories(transitions=100, folder=tmp_path)


def test_every_recipe_has_a_task_under_a_name_that_shows_it():
    assert {name for name in task_names() if name.startswith(REGENERATED)} == {REGENERATED + name for name in SIZES}


@pytest.mark.parametrize("name", ["maze2d-umaze-v1", "antmaze-medium-play-v2", "hopper-expert-v2"])
def test_the_task_is_d4rls_but_for_its_name(name):
    task = load_task(REGENERATED + name)
    assert task.name == REGENERATED + name
    env = task.make_env()
    assert env.name == name and step_limit(env) == env.max_episode_steps >= 300
    if name in task_names():
        theirs = load_task(name)
        assert task.reference_returns == theirs.reference_returns


def test_the_command_makes_the_file_that_the_task_reads(capsys, tmp_path):
    assert main(["maze2d-umaze-v1", "--steps", "300", "--seed", "2"]) == 0
    path = tmp_path / "d4rl" / "regen" / "regen-maze2d-umaze-v1.hdf5"
    assert path.exists() and f"regen/maze2d-umaze-v1: 300 transitions, seed 2, in {path}" in capsys.readouterr().out
    with pytest.warns(
        UserWarning, match=r"holds 300 transitions of regen/maze2d-umaze-v1, where D4RL's own data have 1,000,000"
    ):
        assert len(load_task("regen/maze2d-umaze-v1").load_trajectories()) == 300


def test_maze2d_is_made_on_demand_once(tmp_path, monkeypatch):
    task = load_task("regen/maze2d-umaze-v1")
    data = task.load_trajectories(transitions=400, seed=1)
    assert len(data) == 400 and data.timeouts.sum() == 1
    monkeypatch.setattr("sfbc_core.tasks.d4rl.regeneration.maze2d.Maze2dRecorder.record", None)
    assert task.load_trajectories(transitions=400, seed=1).fingerprint() == data.fingerprint()
    assert not (tmp_path / "d4rl").exists(), "what is made on demand goes to the cache"


def test_without_a_file_the_message_has_the_command_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load_task("regen/hopper-medium-expert-v2").load_trajectories(folder=tmp_path)
    for words in (
        str(tmp_path / "regen-hopper-medium-expert-v2.hdf5"),
        "given the policy of a medium hopper, then of an expert hopper",
        "python -m sfbc_core.tasks.d4rl.regeneration hopper-medium-expert-v2 --policy FILE.npz --policy FILE.npz "
        f"--folder {tmp_path}",
    ):
        assert words in str(caught.value)


def test_a_number_of_transitions_needs_a_recipe_without_policies():
    with pytest.raises(ValueError, match="transitions and seed are given when it is made"):
        load_task("regen/antmaze-umaze-v2").load_trajectories(transitions=100)


def test_a_file_of_another_task_or_origin_is_refused(tmp_path):
    main(["maze2d-umaze-v1", "--steps", "50", "--folder", str(tmp_path)])
    made, needed = (tmp_path / f"regen-maze2d-{maze}-v1.hdf5" for maze in ("umaze", "medium"))
    made.rename(needed)
    with pytest.raises(ValueError, match="holds regen/maze2d-umaze-v1, expected regen/maze2d-medium-v1"):
        load_task("regen/maze2d-medium-v1").load_trajectories(folder=tmp_path)
    with h5py.File(needed, "a") as file:
        del file.attrs["name"]
    with pytest.raises(ValueError, match="holds data of unknown origin"):
        load_task("regen/maze2d-medium-v1").load_trajectories(folder=tmp_path)
    needed.write_text("<html>")
    with pytest.raises(ValueError, match="is not a complete HDF5 file"):
        load_task("regen/maze2d-medium-v1").load_trajectories(folder=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["maze2d-tiny-v1"], "no recipe for 'maze2d-tiny-v1'"),
        (["hopper-medium-v2", "--policy", "nowhere.npz"], "nowhere.npz"),
        (["antmaze-umaze-v2"], "an ant that follows a direction"),
    ],
)
def test_a_wrong_command_ends_with_a_reason(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_help_lists_all_tasks_and_what_they_need():
    command = [sys.executable, "-m", "sfbc_core.tasks.d4rl.regeneration", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for task in SIZES:
        assert f"{task} " in text
    assert "--policy FILE" in text and "a medium hopper, then an expert hopper" in text
