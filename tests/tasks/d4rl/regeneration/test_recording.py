"""The file has D4RL's layout and the recipe in its attributes, and comes out the same after any kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py is in the extra sfbc-core[d4rl]")

from sfbc_core import load_task, progress
from sfbc_core.tasks.d4rl.datasets import read_hdf5
from sfbc_core.tasks.d4rl.regeneration import recording
from sfbc_core.tasks.d4rl.regeneration.maze2d import Maze2dRecorder
from sfbc_core.tasks.d4rl.regeneration.recipes import SIZES, make_recipe, policies_needed, rules_of
from sfbc_core.tasks.d4rl.regeneration.recording import record, recorded_attributes, regenerated_path

UMAZE = "maze2d-umaze-v1"


def columns_of(path):
    with h5py.File(path) as file:
        columns = {}
        file.visititems(lambda name, item: columns.update({name: item[:]}) if isinstance(item, h5py.Dataset) else None)
        return columns


def assert_same(one, other):
    one, other = columns_of(one), columns_of(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], strict=True)


def assert_nothing_is_left(folder):
    assert [path.suffix for path in folder.iterdir() if path.name.startswith(".")] == [".lock"]


def test_maze2d_reads_back_as_one_stream(tmp_path):
    path = record(make_recipe(UMAZE, steps=3000), tmp_path)
    columns = columns_of(path)
    assert {name: (column.shape, column.dtype.name) for name, column in columns.items()} == {
        "observations": ((3000, 4), "float32"),
        "actions": ((3000, 2), "float32"),
        "rewards": ((3000,), "float32"),
        "terminals": ((3000,), "bool"),
        "timeouts": ((3000,), "bool"),
        "infos/goal": ((3000, 2), "float32"),
        "infos/qpos": ((3000, 2), "float64"),
        "infos/qvel": ((3000, 2), "float64"),
    }
    assert columns["timeouts"].sum() > 10
    data = read_hdf5(path, rules_of(UMAZE))
    assert data.episode_ends.tolist() == [2999] and not data.terminals.any()
    np.testing.assert_array_equal(data.rewards, columns["rewards"])
    assert_nothing_is_left(tmp_path)


def test_antmaze_reads_back_with_an_end_where_each_episode_has_one(tmp_path, policy_file):
    recipe = make_recipe("antmaze-umaze-v2", steps=1000, policies=[policy_file(29, 8)])
    data = read_hdf5(record(recipe, tmp_path), rules_of("antmaze-umaze-v2"))
    assert data.episode_ends.tolist() == [699, 999] and data.observations.shape == (1000, 29)


def test_locomotion_reads_back_with_an_end_at_each_fall(tmp_path, policy_file):
    recipe = make_recipe("hopper-medium-v2", steps=500, policies=[policy_file(11, 3)])
    path = record(recipe, tmp_path, chunk=64)
    columns, data = columns_of(path), read_hdf5(path, rules_of("hopper-medium-v2"))
    np.testing.assert_array_equal(data.terminals, columns["terminals"])
    np.testing.assert_array_equal(data.timeouts, columns["timeouts"])
    assert len(data.episode_ends) > 3 and len(data) == 500


def test_a_log_shows_how_far_a_recording_is(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)  # what would be a line a minute is one for each chunk
    record(make_recipe(UMAZE, steps=60), tmp_path, chunk=20)
    shares = [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert "regen/maze2d-umaze-v1: 20 of 60 steps (33 %)" in shares
    assert shares[-1] == "regen/maze2d-umaze-v1: 60 of 60 steps (100 %)"


def test_the_recipe_stands_in_the_file(tmp_path, policy_file):
    policies = [policy_file(11, 3, "one"), policy_file(11, 3, "other", mean=1.0)]
    recipe = make_recipe("hopper-medium-expert-v2", steps=40, seed=5, policies=policies)
    attributes = recorded_attributes(record(recipe, tmp_path))
    assert attributes == recipe.attributes()
    assert (
        attributes["name"] == "regen/hopper-medium-expert-v2" and attributes["seed"] == 5 and attributes["steps"] == 40
    )
    assert len(attributes["policy_0_sha256"]) == 64 and attributes["policy_0_sha256"] != attributes["policy_1_sha256"]
    assert {"version_d4rl", "version_mujoco", "version_numpy"} <= attributes.keys()


def test_the_same_seed_makes_the_same_data_and_another_seed_other_data(tmp_path):
    one, same, other = (
        record(make_recipe(UMAZE, steps=500, seed=seed), tmp_path / folder, chunk=chunk)
        for folder, seed, chunk in (("one", 1, 500), ("same", 1, 77), ("other", 2, 500))
    )
    assert_same(one, same)
    assert (columns_of(other)["actions"] != columns_of(one)["actions"]).any()


def test_a_recording_that_failed_goes_on_from_its_last_chunk(tmp_path, monkeypatch):
    recipe = make_recipe(UMAZE, steps=1000)
    undisturbed = record(recipe, tmp_path / "undisturbed", chunk=300)
    rows, recorded = Maze2dRecorder.record, []

    def fails_in_the_third_chunk(self, number):
        recorded.append(number)
        if len(recorded) == 3:
            raise KeyboardInterrupt
        return rows(self, number)

    monkeypatch.setattr(Maze2dRecorder, "record", fails_in_the_third_chunk)
    with pytest.raises(KeyboardInterrupt):
        record(recipe, tmp_path, chunk=300)
    assert not regenerated_path(UMAZE, tmp_path).exists()
    monkeypatch.setattr(Maze2dRecorder, "record", lambda self, number: recorded.append(number) or rows(self, number))
    assert_same(record(recipe, tmp_path, chunk=300), undisturbed)
    assert len(recorded) == 3 + 3, "the two chunks that were left, and an empty one that marks the end"
    assert_nothing_is_left(tmp_path)


def test_a_kill_while_the_file_is_written_leaves_no_file_and_only_the_writing_is_done_again(tmp_path, monkeypatch):
    recipe = make_recipe(UMAZE, steps=200)
    join = recording._join

    def half(chunks, path, recipe):
        path.write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(recording, "_join", half)
    with pytest.raises(KeyboardInterrupt):
        record(recipe, tmp_path)
    assert not regenerated_path(UMAZE, tmp_path).exists()
    monkeypatch.setattr(recording, "_join", join)
    assert len(columns_of(record(recipe, tmp_path))["rewards"]) == 200
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "no state", "other rows", "other type"])
def test_a_damaged_chunk_is_refused_by_name(tmp_path, monkeypatch, damage):
    recipe, join = make_recipe(UMAZE, steps=60), recording._join
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(recording, "_join", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        record(recipe, tmp_path, chunk=20)
    chunk = sorted(tmp_path.rglob("*.npz"))[-1]
    with np.load(chunk) as file:
        columns = dict(file)
    if damage == "truncated":
        chunk.write_bytes(chunk.read_bytes()[:100])
    elif damage == "no state":
        np.savez(chunk, **{name: column for name, column in columns.items() if name != "state"})
    elif damage == "other rows":  # which h5py would repeat to fill the space
        np.savez(chunk, **{**columns, "rewards": columns["rewards"][:1]})
    else:
        np.savez(chunk, **{**columns, "rows": np.array("many")})
    with pytest.raises(
        ValueError, match=rf"{chunk.name} is a damaged chunk of a recording; remove the folder"
    ) as caught:
        record(recipe, tmp_path, chunk=20)
    assert len(str(caught.value)) < 600 and recording._join is join


def test_a_damaged_file_in_the_cache_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SFBC_CACHE_DIR", str(tmp_path))
    task = load_task(f"regen/{UMAZE}")
    first = task.load_trajectories(transitions=60).fingerprint()
    (path,) = tmp_path.rglob("*.hdf5")
    for content in (b"", path.read_bytes()[:-200]):
        path.write_bytes(content)
        with pytest.warns(UserWarning, match="the cached data set is damaged and is generated again"):
            assert task.load_trajectories(transitions=60).fingerprint() == first


@pytest.mark.slow
def test_a_process_that_was_killed_goes_on_and_ends_with_the_same_file(tmp_path):
    """kill -9 after the first chunk of 10,000 steps."""
    recipe = make_recipe(UMAZE, steps=13_000)
    command = [sys.executable, "-m", "sfbc_core.tasks.d4rl.regeneration", UMAZE]
    process = subprocess.Popen([*command, "--steps", "13000", "--folder", str(tmp_path / "killed")])
    deadline = time.monotonic() + 600  # against a process that hangs
    while not list(tmp_path.glob("killed/.*/*.npz")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    killed = regenerated_path(UMAZE, tmp_path / "killed")
    assert not killed.exists()
    assert_same(record(recipe, tmp_path / "killed"), record(recipe, tmp_path / "undisturbed"))


def test_a_finished_file_is_left_alone_and_one_by_another_recipe_is_not_replaced(tmp_path):
    path = record(make_recipe(UMAZE, steps=100), tmp_path)
    before = path.stat().st_mtime_ns
    assert record(make_recipe(UMAZE, steps=100), tmp_path) == path
    for changes, message in (
        ({"steps": 101}, "steps 100 instead of 101"),
        ({"steps": 100, "seed": 1}, "seed 0 instead of 1"),
    ):
        with pytest.raises(FileExistsError, match=message):
            record(make_recipe(UMAZE, **changes), tmp_path)
    assert path.stat().st_mtime_ns == before


def test_bad_recipes_are_refused(policy_file, untyped, tmp_path):
    hopper, ant = policy_file(11, 3, "hopper"), policy_file(29, 8, "ant")
    for task, options, message in (
        ("maze2d-open-v0", {}, "no recipe for 'maze2d-open-v0'; expected one of maze2d-umaze-v1"),
        ("hopper-medium-replay-v2", {"policies": [hopper]}, "no recipe for 'hopper-medium-replay-v2'"),
        (UMAZE, {"policies": [ant]}, r"needs 0 policy file\(s\), got 1"),
        (
            "hopper-medium-expert-v2",
            {"policies": [hopper]},
            r"needs 2 .*a medium hopper, then an expert hopper\), got 1",
        ),
        ("hopper-medium-v2", {"policies": [ant]}, r"ant.npz: latent_pi.0 .*expected a weight of shape \(16, 11\)"),
        (
            "antmaze-umaze-v2",
            {"policies": [hopper]},
            r"hopper.npz: latent_pi.0 .*expected a weight of shape \(16, 29\)",
        ),
        (UMAZE, {"steps": 1}, "steps must be at least 2, got 1"),
        (UMAZE, {"seed": -1}, "seed must be at least 0, got -1"),
        (UMAZE, {"steps": "50"}, r"steps must be a whole number, got '50' \(str\)"),
    ):
        with pytest.raises(ValueError, match=message):
            make_recipe(task, **options)
    with pytest.raises(ValueError, match="at least 1 row, got 0"):
        record(make_recipe(UMAZE, steps=10), tmp_path, chunk=0)


def test_every_task_says_what_it_needs():
    assert {task: len(policies_needed(task)) for task in SIZES} == {
        task: 0 if "maze2d" in task else 2 if "medium-expert" in task else 1 for task in SIZES
    }
