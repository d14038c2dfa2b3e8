"""TD3+BC: its targets and its λ by hand, and a bandit."""

import pytest
import torch
from hand_made import BRIEF, LEFT, RIGHT, bandit, built, first_row, linear, linear_q, three_steps

from sfbc_core.methods.td3_bc import TD3BC, TD3BCConfig


def tiny(**options) -> TD3BCConfig:
    return TD3BCConfig(**({"hidden": (32, 32), "target_rate": 0.05, "training": BRIEF} | options))


def test_the_target_of_q_is_the_smaller_of_two_at_the_next_action():
    agent = built(TD3BC(tiny(policy_noise=0.0, discount=0.9)))
    with torch.no_grad():
        agent.nets["target_policy"][0][-1].bias.fill_(torch.atanh(torch.tensor(0.5)))  # π'(s) = 0.5
    agent.nets["target_q"] = linear_q(linear(3.0, 1.0), linear(2.0, 4.0))  # at s' = 2, a' = 0.5: 6.5 and 6
    # Q is 0: its loss is the squared target, once for each of the two.
    assert first_row(agent, three_steps())["q"] == pytest.approx(2 * (0.25 + 0.9 * 6.0) ** 2)
    assert first_row(agent, three_steps(), row=1)["q"] == pytest.approx(2 * 3.0**2)  # after a terminal nothing counts


def test_the_noise_of_the_target_is_clipped():
    agent = built(TD3BC(tiny(policy_noise=1e6, noise_clip=0.25, discount=1.0)))
    agent.nets["target_q"] = linear_q(linear(0.0, 1.0), linear(0.0, 1.0))  # Q = a, and π'(s) = 0
    seen = {round((first_row(agent, three_steps(), step=0)["q"] / 2) ** 0.5 - 0.25, 4)}
    assert seen <= {0.25, -0.25} or seen == {0.0}  # the root of the squared target, 0.25 ± 0.25, less the reward


@pytest.mark.parametrize("alpha", [0.0, 2.5])
def test_the_loss_of_the_policy_by_hand(alpha):
    agent = built(TD3BC(tiny(alpha=alpha)))  # π(s) = 0
    agent.nets["q"] = linear_q(linear(3.0, 7.0, bias=1.0), linear(100.0, 100.0))
    # At s = 1, a = 0.5 and π = 0: (0 - 0.5)² - α Q / |Q|, with Q = 4 of the first member.
    assert first_row(agent, three_steps(), step=1)["policy"] == pytest.approx(0.25 - alpha, rel=1e-5)


def test_lambda_is_the_same_for_all_of_a_batch():
    agent = built(TD3BC(tiny(alpha=1.0)))
    agent.nets["q"] = linear_q(linear(1.0, 0.0, bias=-1.5), linear(0.0, 0.0))  # Q = -0.5 and 0.5 at s = 1 and 2
    loss = agent.losses(agent.rows(three_steps())[torch.tensor([0, 1])], 1, torch.Generator())["policy"]
    assert float(loss) == pytest.approx(0.25)  # both errors are 0.25, and the mean of Q is 0


def test_the_policy_moves_at_every_second_step_and_the_targets_with_it():
    agent = built(TD3BC(tiny(target_rate=0.5)))
    assert [set(first_row(agent, three_steps(), step=step)) for step in range(3)] == [{"q"}, {"q", "policy"}, {"q"}]
    with torch.no_grad():
        agent.nets["q"][0][-1].bias.fill_(8.0)
    agent.after_step(0)
    assert agent.nets["target_q"][0][-1].bias.item() == 0.0
    agent.after_step(1)
    assert agent.nets["target_q"][0][-1].bias.item() == 4.0


def test_without_q_it_clones_and_with_it_the_bandit_goes_right():
    cloned, improved = (float(TD3BC(tiny(alpha=alpha)).fit(bandit()).act(torch.zeros(1, 1))) for alpha in (0.0, 10.0))
    assert cloned == pytest.approx((LEFT + RIGHT) / 2, abs=0.05)
    assert improved > 0.5 * (cloned + RIGHT)  # Q is learned at two actions alone, but between them it rises


@pytest.mark.parametrize(
    "options", [{"alpha": -1.0}, {"discount": 1.1}, {"target_rate": 0.0}, {"policy_every": 0}, {"noise_clip": -0.1}]
)
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        TD3BCConfig(**options)
