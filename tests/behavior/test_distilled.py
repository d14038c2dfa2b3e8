"""A student in one evaluation: what its teacher's solver does, and what it learns of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfbc_core import DiffusionBehavior, ScoreNetworkConfig, SolverConfig, TrainingConfig, Trajectories
from sfbc_core.behavior import DistilledBehavior, DistilledConfig


def test_the_teacher_solves_as_the_diffusion_model_of_its_config(tiny_diffusion, walk, generator):
    model = DistilledBehavior(DistilledConfig(tiny_diffusion, hidden=(8,))).fit(walk)
    alone = DiffusionBehavior(tiny_diffusion).fit(walk)
    alone.network.load_state_dict(model.network.teacher.state_dict())
    noise = torch.randn(6, 4, 2, generator=generator)
    states = model.standardizer(walk.observations[:6])
    torch.testing.assert_close(model.solve(states, noise), alone.draw(states, noise).clamp(-1, 1))


def test_the_loss_has_the_students_error_in_the_first_rows(tiny_diffusion, walk):
    model = DistilledBehavior(DistilledConfig(tiny_diffusion, hidden=(8,), solved_share=0.25)).fit(walk)
    states, actions = model.standardizer(walk.observations[:40]), walk.actions[:40]
    generator, again = (torch.Generator().manual_seed(2) for _ in range(2))
    losses = model.loss(states, actions, generator)
    of_teacher = model.network.teacher.loss(actions, states, tiny_diffusion.schedule, again)
    noise = torch.randn(10, 2, generator=again)
    ends = model.solve(states[:10], noise[:, None])[:, 0]
    error = (model.network.generate(states[:10], noise) - ends).square().mean(1)
    torch.testing.assert_close(losses[10:], of_teacher[10:])
    torch.testing.assert_close(losses[:10], of_teacher[:10] + 4 * error)
    torch.testing.assert_close(losses.mean(), of_teacher.mean() + error.mean())


def test_the_student_ends_where_the_solver_ends():
    """Noise by noise: the root mean square of its error is a small part of how far the actions are spread."""
    generator = torch.Generator().manual_seed(0)
    n = 4_000
    states = torch.rand(n, 1, generator=generator) * 2 - 1
    actions = (0.5 * states + 0.2 * torch.randn(n, 1, generator=generator)).clamp(-1, 1)
    one = torch.ones(n, dtype=torch.bool)
    data = Trajectories(states, actions, torch.zeros(n), one, ~one)
    network = ScoreNetworkConfig(widths=(32, 16), embedding_dim=16, fourier_features=8, fourier_scale=2.0)
    training = TrainingConfig.small(400, batch_size=256, learning_rate=4e-3)
    teacher = replace(DistilledConfig().teacher, network=network, solver=SolverConfig.accurate(6), training=training)
    model = DistilledBehavior(DistilledConfig(teacher, hidden=(64, 64))).fit(data)
    asked, noise = model.standardizer(states[:500]), torch.randn(500, 1, 1, generator=generator)
    solved, drawn = model.solve(asked, noise), model.draw(asked, noise)
    assert (solved - drawn).square().mean().sqrt() < 0.25 * solved.std()
    assert model.draw(asked[:3], noise[:3]).shape == (3, 1, 1)


@pytest.mark.usefixtures("untyped")
def test_a_student_that_would_learn_from_nothing_is_refused():
    with pytest.raises(ValueError, match=r"solved_share must lie in \(0, 1\], got 0"):
        DistilledConfig(solved_share=0.0)
