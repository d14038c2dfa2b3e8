"""The critic: least squares in units of reward, whatever the scale of the targets."""

from __future__ import annotations

import pytest
import torch

from sfbc_core import CriticConfig, QCritic, TrainingConfig, Trajectories

CONFIG = CriticConfig(
    hidden=(32, 32),
    training=TrainingConfig(gradient_steps=1500, batch_size=240, learning_rate=5e-3, cosine_decay=True),
)


@pytest.fixture
def truth(walk):
    """A smooth function of state and action."""
    return lambda s, a: 50 + 20 * torch.sin(s[..., 0]) * a[..., 0] + 5 * a[..., 1]


@pytest.mark.slow
def test_it_fits_in_units_of_reward(walk, truth):
    targets = truth(walk.observations, walk.actions).double()
    critic = QCritic(CONFIG).fit(walk, targets)
    fitted = critic.q(walk.observations, walk.actions[:, None])[:, 0].double()
    explained = 1 - (fitted - targets).square().mean() / targets.var()
    assert explained > 0.98
    assert critic.scale == pytest.approx(targets.std(correction=0).item())
    assert critic.offset == pytest.approx(targets.mean().item())


def test_candidates_are_evaluated_each_for_itself(walk, truth):
    tiny = CriticConfig(hidden=(8, 8), training=TrainingConfig(gradient_steps=5, batch_size=16))
    critic = QCritic(tiny).fit(walk, truth(walk.observations, walk.actions))
    actions = torch.randn(240, 5, 2)
    q = critic.q(walk.observations, actions)
    assert q.shape == (240, 5)
    for m in range(5):
        torch.testing.assert_close(critic.q(walk.observations, actions[:, m : m + 1])[:, 0], q[:, m])


def test_constant_targets_do_not_divide_by_zero(walk):
    tiny = CriticConfig(hidden=(8, 8), training=TrainingConfig(gradient_steps=200, batch_size=64, learning_rate=1e-2))
    critic = QCritic(tiny).fit(walk, torch.full((240,), 3.0))
    assert critic.scale == tiny.minimum_deviation
    torch.testing.assert_close(
        critic.q(walk.observations, walk.actions[:, None]), torch.full((240, 1), 3.0), atol=0.05, rtol=0
    )


@pytest.mark.parametrize(("constant", "unit"), [(0.0, 1.0), (3.0, 3e-6), (-5e8, 5e2)])
def test_without_a_floor_constant_targets_do_not_divide_by_zero_either(walk, constant, unit):
    config = CriticConfig(hidden=(8,), minimum_deviation=0.0, training=TrainingConfig(gradient_steps=1, batch_size=4))
    critic = QCritic(config).fit(walk, torch.full((240,), constant, dtype=torch.float64))
    assert critic.scale == pytest.approx(unit)
    assert torch.isfinite(critic.q(walk.observations, walk.actions[:, None])).all()


@pytest.mark.parametrize("power", [-40, -3, 30])
def test_the_unit_of_rewards_makes_no_difference_without_a_floor(walk, power):
    """Rewards times a power of two: targets are normalised to the same numbers, and Q is multiplied, to the bit."""
    config = CriticConfig(
        hidden=(8, 8), minimum_deviation=0.0, training=TrainingConfig(gradient_steps=30, batch_size=32)
    )
    one, other = (QCritic(config).fit(walk, unit * walk.rewards) for unit in (1.0, 2.0**power))
    asked = walk.observations, walk.actions[:, None]
    assert torch.equal(other.q(*asked), 2.0**power * one.q(*asked))
    assert other.scale == 2.0**power * one.scale


@pytest.mark.usefixtures("untyped")
def test_targets_and_rows_may_be_arrays_or_lists(walk):
    config = CriticConfig(hidden=(8,), training=TrainingConfig(gradient_steps=3, batch_size=4))
    rows = torch.arange(0, 240, 3)
    expected = QCritic(config).fit(walk, walk.rewards, rows=rows).q(walk.observations, walk.actions[:, None])
    for form in (torch.Tensor.numpy, torch.Tensor.tolist, lambda tensor: tensor.double()):
        critic = QCritic(config).fit(walk, form(walk.rewards), rows=form(rows))
        assert torch.equal(critic.q(walk.observations, walk.actions[:, None]), expected)
    for targets, rows, error, message in (
        ("high", None, TypeError, "targets must hold real numbers, got str"),
        (walk.rewards[:3], None, ValueError, "one target for each of the 240 transitions"),
        (walk.rewards * float("inf"), None, ValueError, "targets must be finite, found NaN or infinity first in row"),
        (walk.rewards, [0.5, 1.0], ValueError, "rows must hold whole numbers"),
        (walk.rewards, [], ValueError, "at least one transition to learn from"),
    ):
        with pytest.raises(error, match=message):
            QCritic(config).fit(walk, targets, rows=rows)


def test_a_floor_that_counts_says_so(walk):
    config = CriticConfig(hidden=(8,), training=TrainingConfig(gradient_steps=1, batch_size=4))
    with pytest.warns(
        UserWarning, match=r"deviation of the returns or targets, 0\.00.*minimum_deviation = 0\.1"
    ) as told:
        critic = QCritic(config).fit(walk, 0.01 * walk.rewards)
    assert critic.scale == 0.1
    assert told[0].filename == __file__
    with pytest.raises(ValueError, match="minimum_deviation must be at least 0, got -1"):
        CriticConfig(minimum_deviation=-1.0)


def test_the_unit_of_actions_makes_no_difference(walk):
    """Actions in [-1, 1] and the same in [0, 128]: powers of two, so that not one bit may differ."""
    tiny = CriticConfig(hidden=(8, 8), members=2, training=TrainingConfig(gradient_steps=30, batch_size=32))
    actions = (walk.actions * 1024).round() / 1024  # which the map between the two does not round
    plain = walk.replace(actions=actions)
    wide = Trajectories(**(walk.tensors() | {"actions": 64 * (actions + 1)}), action_low=0, action_high=[128, 128])
    one, other = (QCritic(tiny).fit(data, walk.rewards) for data in (plain, wide))
    expected = one.q(plain.observations, plain.actions[:, None])
    assert torch.equal(other.q(wide.observations, wide.actions[:, None]), expected)
    copy = QCritic(tiny).load_tensors(other.tensors())
    assert torch.equal(copy.q(wide.observations, wide.actions[:, None]), expected)
    alone = [
        critic.member(0).q(data.observations, data.actions[:, None]) for critic, data in ((one, plain), (other, wide))
    ]
    assert torch.equal(*alone)


def test_an_extra_layer_and_a_round_trip(walk):
    config = CriticConfig(hidden=(24, 16, 16), training=TrainingConfig(gradient_steps=5, batch_size=16))
    critic = QCritic(config).fit(walk, walk.rewards)
    assert [p.shape[0] for n, p in critic.network.named_parameters() if n.endswith("weight")] == [24, 24, 16, 16, 1]
    copy = QCritic(config, seed=5).load_tensors(critic.tensors())
    actions = walk.actions[:, None]
    assert torch.equal(copy.q(walk.observations, actions), critic.q(walk.observations, actions))


def test_fitting_again_starts_from_fresh_weights(walk):
    config = CriticConfig(hidden=(8, 8), training=TrainingConfig(gradient_steps=5, batch_size=16))
    once = QCritic(config).fit(walk, walk.rewards)
    twice = QCritic(config).fit(walk, walk.rewards * 7).fit(walk, walk.rewards)
    assert torch.equal(once.network[0].action_layer.weight, twice.network[0].action_layer.weight)


def test_q_is_the_mean_of_the_members_which_differ(walk):
    config = CriticConfig(hidden=(8, 8), members=3, training=TrainingConfig(gradient_steps=20, batch_size=64))
    critic = QCritic(config).fit(walk, walk.rewards)
    actions = walk.actions[:, None]
    alone = torch.stack([critic.member(i).q(walk.observations, actions) for i in range(3)])
    torch.testing.assert_close(critic.q(walk.observations, actions), alone.mean(0))
    assert not torch.allclose(alone[0], alone[1]) and not torch.allclose(alone[1], alone[2])
    copy = QCritic(config, seed=5).load_tensors(critic.tensors())
    assert torch.equal(copy.q(walk.observations, actions), critic.q(walk.observations, actions))


def test_it_learns_from_the_given_rows_only(walk):
    """As if the others were not there: the same network as from data that hold nothing but these rows."""
    rows = torch.arange(0, len(walk), 2)
    training = TrainingConfig(gradient_steps=20, batch_size=64)
    config = CriticConfig(hidden=(8, 8), training=training, standardize_states=False)
    targets = torch.full((len(walk),), 1e6)
    targets[rows] = walk.rewards[rows]
    nowhere = torch.zeros(len(rows), dtype=torch.bool)
    parts = (walk.observations[rows], walk.actions[rows], walk.rewards[rows], nowhere, torch.ones_like(nowhere))
    of_rows = QCritic(config).fit(Trajectories(*parts), walk.rewards[rows])
    actions = walk.actions[:, None]
    assert torch.equal(
        QCritic(config).fit(walk, targets, rows=rows).q(walk.observations, actions),
        of_rows.q(walk.observations, actions),
    )


def test_each_member_learns_as_if_it_were_alone(walk):
    """Adam does not see the factor by which the loss of one among others is smaller, up to its ε."""
    training = TrainingConfig(gradient_steps=30, batch_size=64, learning_rate=1e-2)
    alone = QCritic(CriticConfig(hidden=(8, 8), training=training)).fit(walk, walk.rewards)
    among = QCritic(CriticConfig(hidden=(8, 8), members=3, training=training)).fit(walk, walk.rewards)
    actions = walk.actions[:, None]
    torch.testing.assert_close(
        among.member(0).q(walk.observations, actions), alone.q(walk.observations, actions), atol=1e-3, rtol=0
    )


@pytest.mark.usefixtures("untyped")
def test_bad_input_is_refused(walk):
    with pytest.raises(ValueError, match="members must be at least 1, got 0"):
        CriticConfig(members=0)
    critic = QCritic(CriticConfig(hidden=(8,), training=TrainingConfig(gradient_steps=1, batch_size=4)))
    with pytest.raises(RuntimeError, match="not fitted yet"):
        critic.q(walk.observations, walk.actions[:, None])
    with pytest.raises(RuntimeError, match="not fitted yet"):
        critic.member(0)
    with pytest.raises(ValueError, match=r"one target for each of the 240 transitions, got \(3,\)"):
        critic.fit(walk, torch.zeros(3))
    with pytest.raises(ValueError, match="targets must be finite"):
        critic.fit(walk, torch.full((240,), torch.inf))
    with pytest.raises(ValueError, match="at least one transition to learn from"):
        critic.fit(walk, walk.rewards, rows=torch.zeros(0, dtype=torch.int64))
    critic.fit(walk, walk.rewards)
    with pytest.raises(IndexError, match="between 0 and 0, got 1"):
        critic.member(1)
    with pytest.raises(ValueError, match=r"expected actions of shape \(240, M, 2\), got \(240, 2\)$"):
        critic.q(walk.observations, walk.actions)
    with pytest.raises(ValueError, match=r"expected actions of shape \(240, M, 2\), got \(2, 1, 2\)"):
        critic.q(walk.observations, walk.actions[:2, None])


def test_one_action_a_state_and_many_have_the_same_q(walk):
    """To rounding: one goes through one product with its state, as in training; many share the state's part."""
    training = TrainingConfig(gradient_steps=20, batch_size=32)
    critic = QCritic(CriticConfig(hidden=(16, 8), training=training)).fit(walk, walk.rewards.double())
    actions = walk.actions[:, None]
    alone, together = critic.q(walk.observations, actions), critic.q(walk.observations, actions.expand(-1, 2, -1))
    torch.testing.assert_close(together, alone.expand(-1, 2), atol=1e-5, rtol=1e-5)
