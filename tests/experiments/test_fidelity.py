"""The two-by-two study: what its trainings differ in, and what is measured of a behavior model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfbc_core import SfBC, SfBCConfig, Trajectories, load_task
from sfbc_core.behavior import base
from sfbc_core.experiments import fidelity
from sfbc_core.experiments.fidelity import (
    ANT,
    MEDIUM,
    WAYS,
    as_configured,
    fidelity_of_the_behavior,
    fidelity_trials,
    two_by_two,
)
from sfbc_core.experiments.paper import paper_config
from sfbc_core.experiments.settings import method_config
from sfbc_core.experiments.trial import Trial


@pytest.mark.parametrize("task", [ANT, MEDIUM])
@pytest.mark.parametrize("profile", ["quick", "full"])
def test_the_four_differ_in_two_things(profile, task):
    four = two_by_two(task, profile, seed=2)
    assert list(four) == [f"{mu} μ, {q} Q" for mu in ("short", "long") for q in ("short", "long")]
    for mu in ("short", "long"):
        one, other = four[f"{mu} μ, short Q"], four[f"{mu} μ, long Q"]
        assert replace(one, critic=other.critic) == other and one.critic.training != other.critic.training
    for q in ("short", "long"):
        one, other = four[f"short μ, {q} Q"], four[f"long μ, {q} Q"]
        assert replace(one, behavior=other.behavior) == other
        assert one.behavior.training.gradient_steps < other.behavior.training.gradient_steps
    long = four["long μ, long Q"].critic.training
    if profile == "full":
        assert long == paper_config(task).critic.training
        return
    assert (long.batch_size, long.learning_rate, long.cosine_decay) == (4096, 1e-3, False)
    assert long.gradient_steps * long.batch_size == pytest.approx(100 * 1_000_000, rel=0.01)  # 100 epochs of a million


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_one_of_the_four_is_that_of_table_1(profile):
    four = two_by_two(ANT, profile, seed=1)
    assert four[as_configured(profile)] == replace(method_config("SfBC", ANT, profile, 1), held_out_share=0.05)
    trials = [trial for trial in fidelity_trials(profile) if trial.label == as_configured(profile)]
    assert {trial.task for trial in trials} == {ANT, MEDIUM}


@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
def test_every_way_to_act_is_tried_after_the_last_iteration(profile):
    trials = fidelity_trials(profile)
    assert len({trial.training_identity for trial in trials}) == len(trials)
    for trial in trials:
        last = {ANT: 4 if profile == "full" else 2, MEDIUM: 5}[trial.task]
        assert trial.method.planning_iterations == last
        tried = {name for name, of in trial.variants.items() if of["iteration"] == last}
        assert tried == {f"{way}, K = {last}" for way in WAYS}
        bold = {name for name, of in trial.variants.items() if of["iteration"] == 1}
        assert bold >= {"best of 32, K = 1", "softmax, α = 100, K = 1"}
    for way in WAYS.values():
        SfBC(SfBCConfig()).acting(**way)


@pytest.fixture
def judged(tiny_sfbc, walk, monkeypatch):
    """Measures of an agent whose behavior model is replaced by a rule: states -> actions."""
    config = replace(tiny_sfbc, held_out_share=0.25)
    agent, trial = SfBC(config).fit(walk), Trial("toy-maze", config, profile="smoke")
    plain = agent.behavior.draw

    def measured(rule=None, data: Trajectories = walk):
        monkeypatch.setattr(agent.behavior, "draw", rule or plain)
        return fidelity_of_the_behavior(trial, agent, load_task("toy-maze"), data)

    return measured


def test_actions_that_no_one_recorded_are_far(judged, walk):
    """In the data the action is the same everywhere; a rule that does as much is near, one that does the opposite far."""
    same = walk.replace(actions=torch.full_like(walk.actions, 0.5))

    def always(value):
        return lambda states, noise: torch.full((*noise.shape[:2], 2), value)

    assert judged(always(0.5), same)["far"] <= 0.02  # 1 in 100 held-out pairs is far by definition
    assert judged(always(-0.9), same)["far"] > 0.2


def test_the_losses_have_their_places(judged):
    found = judged()
    assert found["at"] == [7, 14, 21, 28]  # of 30 steps, an entry every 7
    assert len(found["held_out_loss"]) == 4 and len(found["loss"]) == 5
    assert found["measures"]["verdict"]


def test_no_more_than_so_many_are_judged(judged, monkeypatch):
    monkeypatch.setattr(fidelity, "JUDGED", 5)
    seen = []
    sample = base.BehaviorModel.sample
    monkeypatch.setattr(
        base.BehaviorModel,
        "sample",
        lambda self, states, n, *rest: seen.append((len(states), n)) or sample(self, states, n, *rest),
    )
    judged()
    assert (5, fidelity.ASKED) in seen
