"""`~` in every path that a user can give is the home folder, and no folder of that name is ever made."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

import pytest

from sfbc_core import GaussianConfig, evaluate, load_task
from sfbc_core.experiments import Trial, run_trial, stored_results
from sfbc_core.experiments import __main__ as experiments
from sfbc_core.experiments.results import add_lines, measurements_path, read_lines
from sfbc_core.experiments.trial_run import trained_agent
from sfbc_core.methods import Method
from sfbc_core.methods.weighted_regression import WeightedRegression, WeightedRegressionConfig
from sfbc_core.tasks.cache import cache_dir

with_d4rl = pytest.mark.skipif(find_spec("d4rl") is None, reason="d4rl is not installed")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home folder of the test's own, and a working folder in which nothing may appear."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    yield home
    assert os.listdir(work) == []


def test_runs_agents_and_trials(home, walk, tiny_sfbc):
    critic = tiny_sfbc.critic
    config = WeightedRegressionConfig(GaussianConfig(hidden=8, layers=1, training=critic.training), critic)
    WeightedRegression(config).fit(walk, "~/run").save("~/agent")
    assert (home / "run" / "run.json").is_file() and os.listdir(home / "agent") == ["agent.safetensors"]
    assert Method.load("~/agent").config == config
    trial = Trial("toy-maze", config, 1, transitions=200, profile="smoke")
    result = run_trial(trial, "~/trials")
    assert (home / "trials" / f"{trial.identity}.json").is_file()
    loaded = trained_agent(trial, "~/trials", load_task("toy-maze").load_trajectories(transitions=200))
    assert (
        evaluate(loaded, load_task("toy-maze"), 1, 0).returns.tolist() == result["variants"]["as configured"]["returns"]
    )
    add_lines("~/results/drivers.jsonl", [result])
    assert [line["id"] for line in read_lines("~/results/drivers.jsonl")] == [trial.identity]
    assert stored_results("drivers", "quick", "~/results").missing and (home / "results" / "drivers.jsonl").is_file()
    assert measurements_path("~/results", trial).parent == home / "results" / "measurements"


def test_the_command(home, monkeypatch, capsys):
    taken = {}

    def run_suite(name, profile, runs, folder, **options):
        taken.update(runs=runs, folder=folder)
        raise OSError("enough")

    monkeypatch.setattr(experiments, "run_suite", run_suite)
    with pytest.raises(SystemExit):
        experiments.main(["run", "drivers", "--runs", "~/runs", "--results", "~/results"])
    assert taken == {"runs": home / "runs" / "quick", "folder": home / "results"}


@pytest.mark.parametrize("name", ["SFBC_CACHE_DIR", "XDG_CACHE_HOME"])
def test_the_cache(home, monkeypatch, name):
    monkeypatch.delenv("SFBC_CACHE_DIR")
    monkeypatch.setenv(name, "~/kept")
    assert (home / "kept") in (cache_dir(), cache_dir().parent)
    load_task("toy-maze").load_trajectories(transitions=100)
    assert len(list(home.rglob("toy-maze-100-0-*.safetensors"))) == 1
    monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir() == home / ".cache" / "sfbc"


@with_d4rl
def test_folders_of_data(home, monkeypatch, tmp_path):
    import h5py

    from sfbc_core.experiments.untrained import untrained_policy
    from sfbc_core.tasks.d4rl import datasets, minari_datasets
    from sfbc_core.tasks.d4rl.regeneration.__main__ import main
    from sfbc_core.tasks.d4rl.regeneration.policies import load_policy

    assert main(["maze2d-umaze-v1", "--steps", "60", "--folder", "~/made"]) == 0
    (made,) = (home / "made").glob("*.hdf5")
    assert len(load_task("regen/maze2d-umaze-v1").load_trajectories(folder="~/made")) == 60
    assert len(datasets.read_hdf5(f"~/made/{made.name}")) == 60
    (home / "d4rl").mkdir()
    shutil.copy(made, home / "d4rl" / "maze2d-umaze-v1.hdf5")
    assert len(datasets.load_d4rl("maze2d-umaze-v1", folder="~/d4rl", download=False)) == 60
    monkeypatch.setenv("D4RL_DATASET_DIR", "~/d4rl")
    assert len(datasets.load_d4rl("maze2d-umaze-v1", download=False)) == 60
    recorded = home / "minari" / "mine" / "data"
    recorded.mkdir(parents=True)
    with h5py.File(recorded / "main_data.hdf5", "w") as file:
        episode = file.create_group("episode_0")
        episode["observations"] = [[0.0], [1.0], [2.0]]
        episode["actions"], episode["rewards"] = [[0.0], [0.5]], [0.0, 1.0]
        episode["terminations"], episode["truncations"] = [False, True], [False, False]
    assert len(minari_datasets.load_minari("mine", folder="~/minari")) == 2
    monkeypatch.setenv("MINARI_DATASETS_PATH", "~/minari")
    assert len(minari_datasets.load_minari("mine")) == 2
    assert len(minari_datasets.read_minari("~/minari/mine/data/main_data.hdf5")) == 2
    untrained_policy(home / "policy.npz", 11, 3)
    assert len(load_policy("~/policy.npz", 11, 3)[1]) == 64
