"""What is given to models and functions: one answer for all forms of the same numbers, and words for anything else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from sfbc_core import (
    CriticConfig,
    DiffusionBehavior,
    GaussianBehavior,
    GaussianConfig,
    GaussianMixture,
    QCritic,
    SfBC,
    TrainingConfig,
    VAEBehavior,
    VAEConfig,
    VPSchedule,
    dpm_solver,
    effective_sample_size,
    planned_returns,
    rk45,
    select_actions,
    selection_weights,
    soft_value,
)
from sfbc_core.methods import regression_weights

pytestmark = pytest.mark.usefixtures("untyped")

TRAINING = TrainingConfig(gradient_steps=5, batch_size=16)
SEED = 3
STATES = torch.tensor([[0.0, 1.0, -2.0], [3.0, 0.0, 1.0]])  # whole numbers, which every type below can hold
ACTIONS = torch.tensor([[[0.0, 1.0]], [[-1.0, 0.0]]])
FORMS = {  # of the same numbers
    "float64 tensor": torch.Tensor.double,
    "integer tensor": torch.Tensor.long,
    "with gradients": lambda x: x.clone().requires_grad_(),
    "transposed memory": lambda x: x.mT.contiguous().mT,
    "float32 array": torch.Tensor.numpy,
    "float64 array": lambda x: x.double().numpy(),
    "integer array": lambda x: x.long().numpy(),
    "int8 array": lambda x: x.numpy().astype(np.int8),
    "read-only array": lambda x: np.broadcast_to(x.numpy(), x.shape),
    "big-endian array": lambda x: x.numpy().astype(">f8"),
    "lists": torch.Tensor.tolist,
}


def fitted_models(walk, tiny_diffusion) -> dict:
    return {
        "diffusion": DiffusionBehavior(tiny_diffusion).fit(walk),
        "gaussian": GaussianBehavior(GaussianConfig(hidden=8, layers=1, training=TRAINING)).fit(walk),
        "vae": VAEBehavior(VAEConfig(hidden=8, training=TRAINING)).fit(walk),
        "critic": QCritic(CriticConfig(hidden=(8,), training=TRAINING)).fit(walk, walk.rewards),
    }


def questions(models) -> dict:
    """What can be asked with states, by name; actions are added where they are needed."""
    asked = {
        name: lambda states, model=model: model.sample(states, 2, torch.Generator().manual_seed(SEED))
        for name, model in models.items()
        if name != "critic"
    }
    asked["mode"] = models["gaussian"].mode
    asked["log_likelihood"] = lambda states: models["gaussian"].log_likelihood(states, ACTIONS[: rows_of(states), 0])
    asked["q"] = lambda states: models["critic"].q(states, ACTIONS[: rows_of(states)])
    return asked


def rows_of(states) -> int:
    return len(states) if isinstance(states, torch.Tensor | np.ndarray) else len(STATES)


@pytest.fixture
def asked(walk, tiny_diffusion):
    return questions(fitted_models(walk, tiny_diffusion))


def assert_same_answer(answer, given, expected):
    """To the bit, in the form of the question: a tensor for a tensor, a numpy array for anything else."""
    assert type(answer) is (torch.Tensor if isinstance(given, torch.Tensor) else np.ndarray)
    answer = torch.as_tensor(answer)
    assert answer.dtype == torch.float32 and not answer.requires_grad and torch.equal(answer, expected)


def test_models_answer_every_form_of_the_same_states_alike(asked):
    for name, ask in asked.items():
        expected = ask(STATES)
        assert isinstance(expected, torch.Tensor), name
        for form in (*FORMS.values(), lambda x: pd.DataFrame(x.numpy())):
            given = form(STATES)
            assert_same_answer(ask(given), given, expected)


def test_models_answer_no_state_by_no_row(asked):
    for name, ask in asked.items():
        for given in (torch.zeros(0, 3), np.zeros((0, 3))):
            answer = ask(given)
            assert answer.shape[0] == 0 and answer.shape[1:] == ask(STATES).shape[1:], name
            assert isinstance(answer, type(given))


WRONG = [
    (
        STATES[0],
        ValueError,
        r"expected states of shape \(S, 3\), got \(3,\); a single one is a batch of one, states\[None\]",
    ),
    (STATES[:, :2], ValueError, r"expected states of shape \(S, 3\), got \(2, 2\)$"),
    (STATES[None].numpy(), ValueError, r"expected states of shape \(S, 3\), got \(1, 2, 3\)$"),
    (STATES.log(), ValueError, "states must be finite, found NaN or infinity first in row 0"),
    (np.array([[0, 0, 0], [0, np.nan, 0]]), ValueError, "states must be finite, found NaN or infinity first in row 1"),
    (np.array([[0, 0, 0], [0, 0, 1e300]]), ValueError, "states must be finite, found NaN or infinity first in row 1"),
    (STATES + 1j, TypeError, "states must hold real numbers, got torch.complex64"),
    (np.array([["a", "b", "c"]]), TypeError, "states must hold real numbers, got ndarray of dtype"),
    ([[1.0, 2.0, 3.0], [1.0]], ValueError, "states must be an array with rows of one length"),
    (None, TypeError, "states must hold numbers, got None"),
    ({"position": 1}, TypeError, "states must hold numbers, got dict"),
]


@pytest.mark.parametrize(("states", "error", "message"), WRONG)
def test_models_refuse_other_states_in_words(asked, states, error, message):
    for ask in asked.values():
        with pytest.raises(error, match=message):
            ask(states)


def test_the_critic_takes_actions_in_every_form_and_refuses_others(walk):
    critic = QCritic(CriticConfig(hidden=(8,), training=TRAINING)).fit(walk, walk.rewards)
    expected = critic.q(STATES, ACTIONS)
    for form in FORMS.values():
        assert_same_answer(critic.q(STATES, form(ACTIONS)), STATES, expected)
        assert_same_answer(critic.q(STATES.numpy(), form(ACTIONS)), None, expected)
    assert critic.q(STATES, np.zeros((2, 0, 2))).shape == (2, 0)
    for actions, message in (
        (ACTIONS[:, 0], r"expected actions of shape \(2, M, 2\), got \(2, 2\)"),
        (ACTIONS[:1].numpy(), r"expected actions of shape \(2, M, 2\), got \(1, 1, 2\)"),
        (ACTIONS / 0, "actions must be finite, found NaN or infinity first in row 0"),
    ):
        with pytest.raises(ValueError, match=message):
            critic.q(STATES, actions)


def test_candidates_come_in_the_form_of_the_states(tiny_sfbc, walk):
    agent = SfBC(tiny_sfbc).fit(walk)
    expected = agent.candidates(STATES, 3, torch.Generator().manual_seed(SEED))
    found = agent.candidates(STATES.double().numpy(), 3, torch.Generator().manual_seed(SEED))
    for answer, tensor in zip(found, expected, strict=True):
        assert_same_answer(answer, None, tensor)


def test_weights_of_transitions_in_every_form(walk):
    weights = (torch.arange(len(walk)) % 3).float()
    config = GaussianConfig(hidden=8, layers=1, training=TRAINING)
    expected = GaussianBehavior(config).fit(walk, weights=weights).tensors()
    for form in (torch.Tensor.long, torch.Tensor.numpy, torch.Tensor.tolist):
        found = GaussianBehavior(config).fit(walk, weights=form(weights)).tensors()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    with pytest.raises(ValueError, match=r"weights must have 1 dimension\(s\), got shape \(240, 1\)"):
        GaussianBehavior(config).fit(walk, weights=weights[:, None].numpy())


# ---- pure functions of tensors: what they are given stays as it is, and nothing else is taken ---------------------------

Q = torch.tensor([[0.0, 1.0, 3.0], [2.0, 2.0, 5.0]])
CANDIDATES = torch.arange(12.0).reshape(2, 3, 2)
OF_Q = {
    "selection_weights": lambda q: selection_weights(q, 1),
    "effective_sample_size": lambda q: effective_sample_size(q, 1),
    "soft_value": lambda q: soft_value(q, 1),
    "greedy": lambda q: select_actions(CANDIDATES[: len(q)], q, mode="greedy"),
    "mean_of_best": lambda q: select_actions(CANDIDATES[: len(q)], q, mode="mean_of_best", averaged=2),
    "sample": lambda q: select_actions(CANDIDATES[: len(q)], q, 1, generator=torch.Generator().manual_seed(SEED)),
    "mean_of_sample": lambda q: select_actions(
        CANDIDATES[: len(q)], q, 1, "mean_of_sample", averaged=2, generator=torch.Generator().manual_seed(SEED)
    ),
}


@pytest.mark.parametrize("function", OF_Q.values(), ids=OF_Q)
def test_functions_of_q(function):
    expected = function(Q)
    torch.testing.assert_close(function(Q.long()), expected)
    torch.testing.assert_close(function(Q.double()).float(), expected)
    torch.testing.assert_close(function(Q.clone().requires_grad_()).detach(), expected)
    assert function(Q[:0]).shape == (0, *expected.shape[1:])
    for q in (Q.numpy(), Q.tolist()):
        with pytest.raises(
            TypeError, match=r"q must be a torch tensor, got (ndarray|list): torch\.as_tensor makes one"
        ):
            function(q)
    for q, message in (
        (Q[0], r"expected q of shape \(S, M\), got \(3,\)"),
        (Q.log() * 0, "q must be finite, found NaN or infinity first in row 0"),
        (Q[:, :0], "at least one candidate a state, got 0|expected q of shape"),
    ):
        with pytest.raises(ValueError, match=message):
            function(q)


def test_gradients_flow_through_the_soft_value():
    """dV/dq for α = 0 is the share 1/M of each candidate, by hand."""
    q = Q.clone().requires_grad_()
    soft_value(q, 0.0).sum().backward()
    torch.testing.assert_close(q.grad, torch.full((2, 3), 1 / 3))


def test_candidates_to_select_from():
    assert select_actions(CANDIDATES.long(), Q, mode="greedy").tolist() == [[4.0, 5.0], [10.0, 11.0]]
    assert select_actions(CANDIDATES.double(), Q, mode="greedy").dtype == torch.float64
    with pytest.raises(TypeError, match="candidates must be a torch tensor, got ndarray"):
        select_actions(CANDIDATES.numpy(), Q, mode="greedy")
    with pytest.raises(ValueError, match=r"expected candidates of shape \(S, M, A\), got \(2, 3\)"):
        select_actions(CANDIDATES[..., 0], Q, mode="greedy")
    with pytest.raises(ValueError, match="candidates must be finite, found NaN or infinity first in row 1"):
        select_actions(CANDIDATES / (CANDIDATES != 7), Q, mode="greedy")
    with pytest.raises(ValueError, match="on one device, got meta and cpu"):
        select_actions(CANDIDATES[:0].to("meta"), Q[:0], mode="greedy")


def test_values_to_plan_with(walk):
    values = (torch.arange(len(walk)) % 5).float()
    expected = planned_returns(walk, values)
    for form in (*FORMS.values(), pd.Series):
        if form is not FORMS["transposed memory"]:
            assert torch.equal(planned_returns(walk, form(values)), expected)
    for wrong, error, message in (
        (values[:, None].numpy(), ValueError, r"values must have 1 dimension\(s\), got shape \(240, 1\)"),
        (values[:5].tolist(), ValueError, r"one value for each of the 240 transitions, got \(5,\)"),
        (values.numpy() * np.nan, ValueError, "values must be numbers below infinity"),
        (["a"] * 240, TypeError, "values must hold real numbers"),
    ):
        with pytest.raises(error, match=message):
            planned_returns(walk, wrong)


def test_advantages_to_weigh_by():
    advantages = torch.tensor([0.0, 1.0, 2.0])
    expected = torch.exp(advantages.double() - 2)
    for form in (torch.Tensor.long, torch.Tensor.double, lambda x: x.clone().requires_grad_()):
        torch.testing.assert_close(regression_weights(form(advantages), 1.0).detach(), expected)
    assert regression_weights(advantages[:0], 1.0).shape == (0,)
    with pytest.raises(TypeError, match="advantages must be a torch tensor, got ndarray"):
        regression_weights(advantages.numpy(), 1.0)
    with pytest.raises(ValueError, match=r"expected advantages of shape \(N\), got \(1, 3\)"):
        regression_weights(advantages[None], 1.0)
    with pytest.raises(ValueError, match="advantages must be finite"):
        regression_weights(advantages.log(), 1.0)


def test_flags_of_episodes_to_keep(walk):
    keep = torch.arange(20) % 2 == 0
    expected = walk.select_episodes(keep).fingerprint()
    for form in (torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.long, torch.Tensor.double):
        assert walk.select_episodes(form(keep)).fingerprint() == expected
    with pytest.raises(ValueError, match=r"keep must hold flags"):
        walk.select_episodes(torch.arange(20))  # numbers of episodes, which are no flags


def test_solvers_and_schedules_take_tensors():
    schedule, x = VPSchedule(), torch.ones(2, 1)
    for solve in (lambda x: dpm_solver(lambda y, t: y, x, schedule, 3), lambda x: rk45(lambda y, t: y, x, schedule)[0]):
        expected = solve(x)
        torch.testing.assert_close(solve(x.clone().requires_grad_()).detach(), expected)
        assert solve(x.double()).dtype == torch.float64
        assert solve(x[:0]).shape == (0, 1)
        for wrong in (x.numpy(), x.tolist(), x.long()):
            with pytest.raises(
                TypeError, match=r"x must be a tensor of floating-point numbers, got (ndarray|list|torch\.int64)"
            ):
                solve(wrong)
        with pytest.raises(ValueError, match="x must be finite"):
            solve(x / 0)
    mixture = GaussianMixture([1], [0.0], 1.0)
    for function in (mixture.log_density, mixture.distance_to_data, lambda x: mixture.noise(x, 0.5)):
        torch.testing.assert_close(function(x).double(), function(x.double()))
        with pytest.raises(TypeError, match="x must be a tensor, got ndarray"):
            function(x.numpy())
    torch.testing.assert_close(schedule.alpha(torch.tensor([0, 1])), schedule.alpha(torch.tensor([0.0, 1.0])))
    for function in (schedule.alpha, schedule.sigma, schedule.log_snr, schedule.time):
        with pytest.raises(TypeError, match="expected a number or a tensor, got ndarray"):
            function(np.array([0.5, 0.6]))
        assert function(np.float32(0.5)) == function(0.5)
