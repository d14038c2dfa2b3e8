"""Trials killed at random moments, wherever they are: started again, they end with the bits of one that was left alone."""

from __future__ import annotations

import time

import pytest
from processes import Started, bits_of, outcome_of, run_stored_trial
from small_methods import each_of, small_trial

from sfbc_core.files import load_json, save_json
from sfbc_core.methods.decision_transformer import DecisionTransformerConfig
from sfbc_core.methods.iql import IQLConfig
from sfbc_core.methods.sfbc import SfBCConfig

pytestmark = pytest.mark.nightly
MOMENTS = 20
DONE = "a trial of {}, from its data to its evaluation, killed by SIGKILL at a random moment and started again"
TRIED = each_of((SfBCConfig, IQLConfig, DecisionTransformerConfig), "killed", DONE)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a trial ends with when nothing happens to it: its folder and the seconds of computing, for each kind once."""
    found = {}

    def run(kind):
        if kind not in found:
            trial, folder = small_trial(kind), tmp_path_factory.mktemp(kind.__name__)
            save_json(folder / "trial.json", trial.to_json())
            process = Started(run_stored_trial, folder / "trial.json", folder / "runs")
            process.result()
            found[kind] = trial, folder, process.used
        return found[kind]

    return run


def under_way(trial, runs, finished):
    """What a killed trial was at work on: the first thing that is not there of those that one makes, in order."""
    training = runs / trial.training_identity
    paths = [path for path in finished.rglob("*.safetensors") if path.is_file()]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns):
        if not (runs / path.relative_to(finished)).exists():
            return "the data" if path.parent.name == "cache" else path.stem
    return "its evaluation" if training.exists() and not (runs / f"{trial.identity}.json").exists() else "its end"


@pytest.mark.parametrize("number", range(MOMENTS))
@pytest.mark.parametrize("kind", TRIED)
def test_a_trial_killed_at_a_random_moment_ends_with_the_same_bits(kind, number, undisturbed, rng, tmp_path, outcome):
    """The moments are of computing, not of a clock: drawn one from each twentieth of what the trial takes."""
    trial, folder, seconds = undisturbed(kind)
    moment = (number + rng.random()) / MOMENTS * seconds
    for attempt in range(20):  # it may be done sooner than before
        runs = tmp_path / str(attempt)
        process = Started(run_stored_trial, folder / "trial.json", runs)
        while process.running and process.cpu_seconds < moment:
            time.sleep(0.002)
        if process.kill():
            break
        moment *= 0.8
    else:
        raise AssertionError("it was always done before it could be killed")
    stage = under_way(trial, runs, folder / "runs")
    result = Started(run_stored_trial, folder / "trial.json", runs).result()
    expected = load_json(folder / "runs" / f"{trial.identity}.json")
    assert outcome_of(result) == outcome_of(expected), f"killed in {stage}: another result"
    assert outcome_of(load_json(runs / f"{trial.identity}.json")) == outcome_of(expected)
    assert bits_of(runs) == bits_of(folder / "runs"), f"killed in {stage}: other bits"
    outcome(f"the same bits after a kill in {stage}")
