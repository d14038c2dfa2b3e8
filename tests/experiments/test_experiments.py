"""Profiles, provenance, statistics and trials."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from sfbc_core import TrainingConfig, evaluate, load_task
from sfbc_core.experiments import (
    TrialConfig,
    mean_interval,
    run_trial,
    run_trials,
    success_interval,
)
from sfbc_core.experiments.profiles import PROFILES, choose
from sfbc_core.experiments.provenance import provenance_facts
from sfbc_core.experiments.trial import load_trial_data, trained_agent
from sfbc_core.methods import AWRConfig, SfBC


def test_a_profile_chooses_and_an_unknown_one_is_refused():
    assert [choose(p, smoke=1, quick=2, full=3) for p in PROFILES] == [1, 2, 3]
    with pytest.raises(ValueError, match=r"profile must be one of .*'quick'.*got 'fast'"):
        choose("fast", smoke=1, quick=2, full=3)


def test_provenance_names_what_a_reader_needs():
    facts = provenance_facts("smoke", 7, time.perf_counter() - 2)
    assert list(facts) == ["profile", "seed", "date", "seconds", "versions", "machine"]
    assert facts["profile"] == "smoke" and facts["seed"] == "7"
    assert f"torch {torch.__version__}" in facts["versions"] and "CPU cores" in facts["machine"]
    assert 2 <= float(facts["seconds"]) < 60
    with pytest.raises(ValueError, match="got 'fast'"):
        provenance_facts("fast", 0, 0.0)


def test_experiments_are_imported_without_what_draws_pages():
    """A worker of a cluster that runs trials needs no matplotlib."""
    code = "import sys, sfbc_core.experiments; print({'matplotlib', 'seaborn', 'anywidget'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_wilson_interval_against_its_formula():
    successes, episodes, z = 95, 100, norm.ppf(0.975)
    centre = (successes + z**2 / 2) / (episodes + z**2)
    half = z / (episodes + z**2) * math.sqrt(successes * (episodes - successes) / episodes + z**2 / 4)
    assert success_interval(successes, episodes) == pytest.approx((centre - half, centre + half), rel=1e-9)
    low, high = success_interval(300, 300)
    assert 0.98 < low < 1 and high == 1


def test_bootstrap_interval_of_the_mean():
    values = np.random.default_rng(0).normal(50, 4, 200)
    low, high = mean_interval(values.tolist())
    half = norm.ppf(0.975) * values.std() / math.sqrt(200)  # what the central limit theorem gives
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert mean_interval([1.0, 1.0, 1.0]) == (1.0, 1.0)
    with pytest.raises(ValueError, match="at least 2 seeds, got 1"):
        mean_interval([1.0])


@pytest.fixture
def trial(tiny_sfbc) -> TrialConfig:
    agent = replace(tiny_sfbc, planning_iterations=2)
    return TrialConfig("bidirectional-car", agent, episodes=3, profile="smoke", transitions=400)


def test_a_trial_is_what_fitting_and_evaluating_by_hand_give(trial, tmp_path):
    result = run_trial(trial, tmp_path)
    task = load_task(trial.task)
    agent = SfBC(trial.agent).fit(task.load_trajectories(transitions=400))
    expected = evaluate(agent, task, 3, trial.agent.seed)
    assert result["returns"] == expected.returns.tolist() and result["lengths"] == expected.lengths.tolist()
    assert result["normalized_score"] == 100 * expected.returns.mean()
    assert result["provenance"]["profile"] == "smoke" and result["transitions"] == 400
    loaded = SfBC.load(tmp_path / trial.identity / "agent")
    assert torch.equal(loaded.critic.network[0].action_layer.weight, agent.critic.network[0].action_layer.weight)


def test_a_trial_of_an_unknown_profile_is_refused_before_it_trains(trial, tmp_path):
    with pytest.raises(ValueError, match=r"profile must be one of .* got 'fast'"):
        run_trial(replace(trial, profile="fast"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_trial_that_is_done_is_not_done_again(trial, tmp_path):
    first = run_trial(trial, tmp_path)
    file = tmp_path / trial.identity / "result.json"
    before = file.stat().st_mtime_ns
    assert run_trial(trial, tmp_path) == first and file.stat().st_mtime_ns == before


def test_an_executor_gives_the_same_results_in_order(trial, tmp_path):
    tiny = TrainingConfig(gradient_steps=5, batch_size=16)
    regression = AWRConfig.small()
    regression = replace(
        regression, policy=replace(regression.policy, training=tiny), critic=replace(regression.critic, training=tiny)
    )
    configs = [trial, replace(trial, agent=replace(trial.agent, seed=4)), replace(trial, agent=regression)]
    here = run_trials(configs, tmp_path / "here")
    with ThreadPoolExecutor(1) as executor:
        there = run_trials(configs, tmp_path / "there", executor)
    for first, second in zip(here, there, strict=True):
        assert first["config"] == second["config"] and first["returns"] == second["returns"]
        assert first["final_observations"] == second["final_observations"]
    assert len({config.identity for config in configs}) == 3


@pytest.mark.usefixtures("untyped")
def test_an_unknown_agent_is_refused():
    with pytest.raises(ValueError, match=r"agent must be one of .*SfBCConfig.*got TrainingConfig"):
        TrialConfig("bidirectional-car", TrainingConfig(gradient_steps=1))


def test_a_trial_can_be_evaluated_after_every_iteration(tiny_sfbc, tmp_path):
    agent = replace(tiny_sfbc, planning_iterations=3)
    config = TrialConfig("toy-maze", agent, episodes=3, transitions=200, every_iteration=True)
    result = run_trial(config, tmp_path)
    assert len(result["iterations"]) == 3
    assert result["iterations"][-1] == {name: result[name] for name in result["iterations"][-1]}
    # The first of them is the agent of one iteration, whose evaluation has the same seed.
    alone = TrialConfig("toy-maze", replace(agent, planning_iterations=1), episodes=3, transitions=200)
    first = run_trial(alone, tmp_path)
    assert "iterations" not in first and first["returns"] == result["iterations"][0]["returns"]
    with pytest.raises(ValueError, match="every_iteration is for an SfBCConfig, got AWRConfig"):
        TrialConfig("toy-maze", AWRConfig(), every_iteration=True)


def test_a_trained_agent_comes_back_with_all_that_it_learned(tiny_sfbc, tmp_path):
    config = TrialConfig("toy-maze", replace(tiny_sfbc, planning_iterations=2), episodes=2, transitions=200)
    data = load_trial_data(config)
    with pytest.raises(FileNotFoundError, match=r"expected a trial that has run in .*result.json is not there"):
        trained_agent(config, tmp_path, data)
    run_trial(config, tmp_path)
    agent, fresh = trained_agent(config, tmp_path, data), SfBC(config.agent).fit(data)
    assert len(agent.critics) == 2
    for restored, expected in zip(agent.targets, fresh.targets, strict=True):
        assert torch.equal(restored, expected)
    other = TrialConfig("toy-maze", AWRConfig(), transitions=200)
    with pytest.raises(ValueError, match="expected a trial of SfBC, got one of AWRConfig"):
        trained_agent(other, tmp_path, data)
