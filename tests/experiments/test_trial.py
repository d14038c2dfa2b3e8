"""A trial trains once, evaluates every variant, and is done once, however often and by however many it is asked for."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from processes import Started, run_stored_trial
from torch import nn

from sfbc_core import SfBC, TrainingConfig, evaluate, load_task
from sfbc_core.configuration import config_dataclass
from sfbc_core.experiments import Trial, run_trial, run_trials, trial_run
from sfbc_core.files import load_json, save_json
from sfbc_core.methods import GradientMethod, Method, WeightedRegressionConfig, base
from sfbc_core.methods.gradient import batch_of
from sfbc_core.networks import mlp

TINY = TrainingConfig(gradient_steps=5, batch_size=16)


def regression(seed=0):
    config = WeightedRegressionConfig.small(seed=seed)
    return replace(config, policy=replace(config.policy, training=TINY), critic=replace(config.critic, training=TINY))


def test_a_trial_is_what_fitting_and_evaluating_by_hand_give(trial, tmp_path):
    result = run_trial(trial, tmp_path)
    task = load_task(trial.task)
    agent = SfBC(trial.method).fit(task.load_trajectories(transitions=400))
    assert list(result["variants"]) == ["K = 1", "K = 2", "any"]
    for name, changes in trial.variants.items():
        expected = evaluate(agent.acting(**changes), task, 3, trial.seed)
        found = result["variants"][name]
        assert found["returns"] == expected.returns.tolist() and found["lengths"] == expected.lengths.tolist()
        assert found["final"] == expected.final_observations[:, :2].tolist()
    assert result["provenance"]["profile"] == "smoke" and result["transitions"] == 400
    assert result["reference_returns"] == [0.0, 1.0]
    loaded = Method.load(tmp_path / trial.training_identity / "agent")
    assert loaded.config == trial.method and len(loaded.critics) == 2


def test_a_trial_that_is_done_is_not_done_again(trial, tmp_path):
    first = run_trial(trial, tmp_path)
    file = tmp_path / f"{trial.identity}.json"
    before = file.stat().st_mtime_ns
    assert run_trial(trial, tmp_path) == first and file.stat().st_mtime_ns == before
    assert not list(tmp_path.rglob("*.partial*"))


def test_another_variant_needs_no_new_training(trial, tmp_path, monkeypatch):
    first = run_trial(trial, tmp_path)
    monkeypatch.setattr(SfBC, "fit", lambda *_, **__: pytest.fail("it was trained again"))
    more = replace(trial, variants={"K = 2": {}, "best of 2": {"num_candidates": 2}})
    assert more.training_identity == trial.training_identity and more.identity != trial.identity
    assert run_trial(more, tmp_path)["variants"]["K = 2"] == first["variants"]["K = 2"]


def test_variants_that_are_done_outlive_a_kill(trial, tmp_path, monkeypatch):
    calls = []

    def interrupted(agent, *arguments, **options):
        calls.append(agent.config.planning_iterations)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(agent, *arguments, **options)

    monkeypatch.setattr(trial_run, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_trial(trial, tmp_path)
    resumed = run_trial(trial, tmp_path)
    assert calls == [1, 2, 2, 2], "the first variant is not evaluated again"
    monkeypatch.setattr(trial_run, "evaluate", evaluate)
    assert resumed["variants"] == run_trial(trial, tmp_path / "undisturbed")["variants"]


def test_an_executor_gives_the_same_results_in_order(trial, tmp_path):
    other = Trial("bidirectional-car", regression(), 3, transitions=400, profile="smoke")
    trials = [trial, replace(trial, method=replace(trial.method, seed=4)), other]
    here = run_trials(trials, tmp_path / "here")
    with ThreadPoolExecutor(1) as executor:
        there = run_trials(trials, tmp_path / "there", executor)
    for first, second, asked in zip(here, there, trials, strict=True):
        assert first["trial"] == second["trial"] == json.loads(json.dumps(asked.to_json()))
        assert first["variants"] == second["variants"]
    assert len({asked.identity for asked in trials}) == 3


def test_a_trial_survives_json_and_a_label_makes_no_other_trial(trial):
    again = Trial.from_json(json.loads(json.dumps(trial.to_json())))
    assert again == trial and again.label == "SfBC"
    other = replace(trial, label="ours", profile="quick")
    assert (other.identity, other.training_identity) == (trial.identity, trial.training_identity)
    assert replace(trial, transitions=800).training_identity != trial.training_identity
    assert replace(trial, episodes=4).identity != trial.identity


@pytest.mark.usefixtures("untyped")
def test_bad_trials_are_refused_before_anything_is_trained(trial):
    for changes, message in (
        ({"method": TINY}, r"method must be one of .*SfBCConfig.*got TrainingConfig"),
        ({"profile": "fast"}, r"profile must be one of .* got 'fast'"),
        ({"episodes": 0}, r"episodes must be at least 1, got 0"),
        ({"variants": {}}, r"expected at least one variant, got none"),
        ({"variants": {"another seed": {"seed": 4}}}, r"fields that decide how SfBC acts.*got \['seed'\]"),
        ({"variants": {"K = 3": {"iteration": 3}}}, "iteration must lie between 1 and 2, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(trial, **changes)
    for changes in ({"episodes": "3"}, {"transitions": "400"}):
        (name,) = changes
        with pytest.raises(TypeError, match=rf"Trial\.{name} must be an int.*, got '\d+' of type str"):
            replace(trial, **changes)


def test_a_trial_may_say_by_which_seed_its_data_are_made(trial):
    other = replace(trial, data_seed=3)
    made, expected = other.load_data(), load_task(trial.task).load_trajectories(transitions=400, seed=3)
    assert made.fingerprint() == expected.fingerprint() != trial.load_data().fingerprint()
    assert len({one.training_identity for one in (trial, other, replace(trial, data_seed=0))}) == 3
    assert Trial.from_json(json.loads(json.dumps(other.to_json()))) == other
    before = {name: value for name, value in trial.to_json().items() if name != "data_seed"}
    assert Trial.from_json(before).identity == trial.identity, "results from before the field keep their trial"
    with pytest.raises(ValueError, match="data_seed = 3 needs `transitions`"):
        replace(trial, data_seed=3, transitions=None)


def test_a_kill_while_the_agent_is_saved_spoils_nothing(trial, tmp_path, monkeypatch):
    """The folder of the agent may be there before its file is."""
    monkeypatch.setattr(base, "save_tensors", lambda *_: pytest.fail("killed"))
    (tmp_path / trial.training_identity / "agent").mkdir(parents=True)
    with pytest.raises(pytest.fail.Exception, match="killed"):
        run_trial(trial, tmp_path)
    monkeypatch.undo()
    assert run_trial(trial, tmp_path)["variants"] == run_trial(trial, tmp_path / "undisturbed")["variants"]


def test_variants_are_kept_until_the_result_is_stored(trial, tmp_path, monkeypatch):
    def full_disk(path, *arguments, **options):
        if path.name == f"{trial.identity}.json":
            raise OSError("no space left")
        save_json(path, *arguments, **options)

    monkeypatch.setattr(trial_run, "save_json", full_disk)
    with pytest.raises(OSError, match="no space left"):
        run_trial(trial, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(trial_run, "evaluate", lambda *_, **__: pytest.fail("it was evaluated again"))
    assert len(run_trial(trial, tmp_path)["variants"]) == 3


def test_a_stored_result_of_another_default_is_not_taken(trial, tmp_path):
    """As if `num_candidates` had had another default when the result was stored: the same name, another trial."""
    run_trial(trial, tmp_path)
    path = tmp_path / f"{trial.identity}.json"
    old = load_json(path)
    old["trial"]["method"]["num_candidates"] = 2
    old["variants"]["K = 1"]["returns"] = [-1.0] * 3
    save_json(path, old)
    assert run_trial(trial, tmp_path)["variants"]["K = 1"]["returns"] != [-1.0] * 3


@config_dataclass
class RightConfig:
    training: TrainingConfig = TINY
    seed: int = 0


class Right(GradientMethod, config=RightConfig):
    """A method defined in a test: full throttle to the right, after a training of no consequence."""

    def networks(self, obs_dim, act_dim):
        return {"policy": mlp([obs_dim, 4, act_dim], nn.Tanh)}

    def losses(self, batch, step, generator):
        s, a, *_ = batch_of(batch)
        return {"policy": (self.nets["policy"](s) - a).square().mean()}

    def choose(self, states, generator):
        return torch.ones(len(states), 1)


def test_a_method_in_one_file_runs_as_a_trial(tmp_path):
    """Nothing but its class: trained, saved, resumed, evaluated and stored like every other."""
    result = run_trial(Trial("bidirectional-car", RightConfig(), 5, transitions=400, profile="smoke"), tmp_path)
    assert result["trial"]["label"] == "Right"
    (variant,) = result["variants"].values()
    assert variant["returns"] == [1.0] * 5 and all(x > 10 for x, _ in variant["final"])


def test_an_evaluation_along_the_training_does_not_disturb_it(tmp_path, monkeypatch):
    """Also when the run is killed in between: what is evaluated is not evaluated again, and the bits are the same."""
    config = RightConfig(replace(TINY, gradient_steps=40, checkpoint_every=10))
    plain = Trial("bidirectional-car", config, 3, transitions=400, profile="smoke")
    curved = replace(plain, curve_every=10)
    alone = trained(plain, tmp_path / "alone")
    steps = []

    def interrupted(*arguments, **options):
        steps.append(len(steps))
        if len(steps) == 3:
            raise KeyboardInterrupt
        return evaluate(*arguments, **options)

    monkeypatch.setattr(trial_run, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_trial(curved, tmp_path)
    result = run_trial(curved, tmp_path)
    assert list(result["curve"]) == ["10", "20", "30", "40"] and result["curve"]["40"] == [1.0] * 3
    assert len(steps) == 2 + 1 + 2 + 1, "two, the one that was killed, the other two, and the variant at the end"
    with_curve = Method.load(tmp_path / curved.training_identity / "agent")
    for name, tensor in alone.nets.state_dict().items():
        assert torch.equal(tensor, with_curve.nets.state_dict()[name]), name
    with pytest.raises(ValueError, match=r"curve_every is a positive number .* got 10 for WeightedRegression"):
        replace(plain, method=regression(), label="WeightedRegression", curve_every=10)


def trained(trial, folder):
    run_trial(trial, folder)
    return Method.load(folder / trial.training_identity / "agent")


@pytest.mark.slow
def test_two_processes_with_one_trial_train_once_and_a_killed_one_goes_on(trial, tmp_path):
    save_json(tmp_path / "trial.json", trial.to_json())
    run = run_stored_trial, tmp_path / "trial.json", tmp_path / "runs"
    first = Started(*run, True)
    first.until(lambda: list((tmp_path / "runs").rglob("*.partial.safetensors")))
    second = Started(*run)
    time.sleep(3)
    assert second.running, "the second waits while the first works"
    assert first.kill()
    found = second.result()["variants"]
    assert found == run_trial(trial, tmp_path / "undisturbed")["variants"]
    assert load_json(tmp_path / "runs" / f"{trial.identity}.json")["variants"] == found
