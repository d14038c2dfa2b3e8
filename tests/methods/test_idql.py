"""IDQL: its weights by hand, the law of its choice, and a bandit."""

import math

import pytest
import torch
from hand_made import BRIEF, LEFT, RIGHT, bandit

from sfbc_core import DiffusionConfig, ScoreNetworkConfig, SolverConfig, Trajectories
from sfbc_core.methods.idql import IDQL, IDQLConfig, implicit_weights

BEHAVIOR = DiffusionConfig(
    ScoreNetworkConfig((32,), embedding_dim=16, fourier_features=16, fourier_scale=2.0),
    solver=SolverConfig.accurate(12),
    training=BRIEF,
)


def tiny(**options) -> IDQLConfig:
    sizes = {"behavior": BEHAVIOR, "hidden": (32, 32), "target_rate": 0.05, "num_candidates": 16}
    return IDQLConfig(**({"training": BRIEF, **sizes} | options))


def test_the_weights_by_hand():
    weights = implicit_weights(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([2.0]), 0.9)
    assert weights.tolist() == [pytest.approx([0.1, 0.9, 0.9])]


def test_at_one_half_all_are_alike():
    assert implicit_weights(torch.randn(5, 7), torch.zeros(5), 0.5).unique().tolist() == [0.5]


@pytest.fixture(scope="module")
def agent() -> IDQL:
    return IDQL(tiny(expectile=0.9)).fit(bandit())


def test_values_are_those_of_iql(agent):
    with torch.no_grad():
        assert float(agent.nets["v"](torch.zeros(1, 1))) == pytest.approx(0.9, abs=0.04)  # τ (1 - v) = (1 - τ) v


def right_share(agent, states=500) -> float:
    drawn = agent.act(torch.zeros(states, 1))[:, 0]
    assert (((drawn - LEFT).abs() < 0.25) | ((drawn - RIGHT).abs() < 0.25)).float().mean() > 0.9
    return float((drawn > 0.15).float().mean())


def test_one_draw_is_behavior(agent):
    assert right_share(agent.acting(num_candidates=1)) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(500) + 0.1)


def test_the_law_of_the_choice(agent):
    """Half of many candidates go right, at a weight of 0.9 against 0.1: so do nine out of ten choices."""
    drawn = right_share(agent.acting(num_candidates=64))
    assert drawn == pytest.approx(0.9, abs=4 * 0.3 / math.sqrt(500) + 0.05)


def test_the_greedy_choice_is_the_best(agent):
    assert right_share(agent.acting(selection="greedy"), 50) > 0.97


def test_data_without_next_states_are_refused_before_anything_is_trained():
    agent, cut = IDQL(tiny()), torch.ones(4, dtype=torch.bool)
    with pytest.raises(ValueError, match="no transition has a next state"):
        agent.fit(Trajectories(torch.zeros(4, 1), torch.zeros(4, 1), torch.ones(4), ~cut, cut))
    assert agent.behavior.network is None


def test_both_models_must_see_the_same_states():
    with pytest.raises(ValueError, match="standardize_states must be True"):
        IDQLConfig(behavior=DiffusionConfig(standardize_states=False))


@pytest.mark.parametrize("options", [{"expectile": 0.0}, {"num_candidates": 0}, {"selection": "best"}])
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        IDQLConfig(**options)
