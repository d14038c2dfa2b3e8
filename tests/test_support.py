"""What counts as far from the data: by hand on a line, by its definition on held-out data, and whatever the units."""

import numpy as np
import pytest
import torch

from sfbc_core import Trajectories
from sfbc_core.support import INSIDE, DataSupport


def steps(observations, actions, low=-1.0, high=1.0) -> Trajectories:
    """Episodes of one step."""
    ends = torch.ones(len(observations), dtype=torch.bool)
    return Trajectories(observations, actions, torch.zeros(len(ends)), ends, ~ends, action_low=low, action_high=high)


def test_by_hand():
    """States 0 and 2 with the actions -1 and 1; held-out pairs are half an action away from them: so is the limit."""
    data = steps(torch.tensor([[0.0], [2.0]]), torch.tensor([[-1.0], [1.0]]))
    held_out = steps(torch.tensor([[0.0], [2.0]]), torch.tensor([[-0.5], [0.5]]))
    support = DataSupport(data, held_out)
    assert support.pair_limit == pytest.approx(0.5) and support.state_limit == pytest.approx(0)
    states = torch.tensor([[0.0], [0.0], [2.0], [2.0], [1.0]])
    actions = torch.tensor([[-0.6], [-0.4], [0.6], [-1.0], [0.0]])
    assert support.far_pairs(states, actions).tolist() == [False, True, False, True, True]
    assert support.far_states(states).tolist() == [False, False, False, False, True]


def test_of_the_held_out_data_one_in_a_hundred_is_far(generator):
    parts = [
        steps(torch.randn(n, 2, generator=generator), torch.rand(n, 1, generator=generator) * 2 - 1)
        for n in (3_000, 2_000)
    ]
    support = DataSupport(*parts)
    held_out = parts[1]
    assert support.far_pairs(held_out.observations, held_out.actions).mean() == pytest.approx(1 - INSIDE, abs=1e-3)
    assert support.far_states(held_out.observations).mean() == pytest.approx(1 - INSIDE, abs=1e-3)
    # Brute force over all neighbours, in the same units.
    state = (held_out.observations - parts[0].observations.mean(0)) / parts[0].observations.std(0, correction=0)
    theirs = (parts[0].observations - parts[0].observations.mean(0)) / parts[0].observations.std(0, correction=0)
    pairs, others = torch.cat([state, held_out.actions], 1), torch.cat([theirs, parts[0].actions], 1)
    nearest = torch.cdist(pairs, others, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    assert support.pair_limit == pytest.approx(float(np.quantile(nearest.numpy(), INSIDE)), rel=1e-4)


def test_units_make_no_difference(generator):
    observations, actions = torch.randn(400, 2, generator=generator), torch.rand(400, 1, generator=generator) * 2 - 1
    plain = DataSupport(steps(observations[:200], actions[:200]), steps(observations[200:300], actions[200:300]))
    unit = torch.tensor([16.0, 0.25])
    other = DataSupport(
        steps(observations[:200] * unit, actions[:200] * 8, -8.0, 8.0),
        steps(observations[200:300] * unit, actions[200:300] * 8, -8.0, 8.0),
    )
    asked = observations[300:], actions[300:]
    assert plain.far_pairs(*asked).any() and not plain.far_pairs(*asked).all()
    assert np.array_equal(plain.far_pairs(*asked), other.far_pairs(asked[0] * unit, asked[1] * 8))


def test_held_out_data_of_another_kind_are_refused():
    data = steps(torch.zeros(3, 1), torch.zeros(3, 1))
    with pytest.raises(ValueError, match=r"must have the data's \(1, 1\) coordinates .* got \(2, 1\)"):
        DataSupport(data, steps(torch.zeros(3, 2), torch.zeros(3, 1)))
