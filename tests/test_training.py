"""The training loop: budgets, reproducibility, and resuming to the bit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from sfbc_core import TrainingConfig
from sfbc_core.training import train

CONFIG = TrainingConfig(gradient_steps=50, batch_size=8, learning_rate=1e-2, checkpoint_every=15, log_every=4)


class Interruption(Exception):
    pass


def regression(stop_after=None, **options):
    """Fit a line; optionally die in the middle of a step. Returns weights and loss history."""
    x = torch.linspace(-1, 1, 40)[:, None]
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(1, 8), nn.SiLU(), nn.Linear(8, 1))
    calls = 0

    def loss(inputs, targets, generator):
        nonlocal calls
        calls += 1
        if calls == stop_after:
            raise Interruption
        noise = torch.randn(targets.shape, generator=generator)
        return (model(inputs) - targets - 0.1 * noise).square().mean()

    history = train(
        model, loss, (x, 2 * x - 1), options.pop("config", CONFIG), torch.Generator().manual_seed(1), **options
    )
    return [p.detach().clone() for p in model.parameters()], history


@pytest.mark.parametrize("decay", [False, True])
@pytest.mark.parametrize("stop_after", [10, 16, 32, 50])
def test_a_killed_training_resumes_to_the_same_bits(tmp_path, stop_after, decay):
    config = replace(CONFIG, cosine_decay=decay)
    weights, history = regression(config=config)
    path = tmp_path / "partial.safetensors"
    with pytest.raises(Interruption):
        regression(stop_after, checkpoint=path, config=config)
    assert path.exists() == (stop_after > 15)
    resumed_weights, resumed_history = regression(checkpoint=path, config=config)
    assert all(torch.equal(a, b) for a, b in zip(weights, resumed_weights, strict=True))
    assert resumed_history == history


def test_history_is_the_mean_of_every_few_steps():
    _, history = regression()
    assert len(history) == math.ceil(50 / 4)
    assert sum(history[-3:]) < 0.5 * sum(history[:3])


def test_it_finds_the_least_squares_line():
    """Exact answer: with full batches of noise-free data a linear model ends at slope 2 and offset -1."""
    x = torch.linspace(-1, 1, 64)[:, None]
    model = nn.Linear(1, 1)
    config = TrainingConfig(gradient_steps=2000, batch_size=64, learning_rate=5e-2, cosine_decay=True)
    train(model, lambda a, b, generator: (model(a) - b).square().mean(), (x, 2 * x - 1), config, torch.Generator())
    assert model.weight.item() == pytest.approx(2, abs=1e-3) and model.bias.item() == pytest.approx(-1, abs=1e-3)


def test_epochs_count_passes_over_the_data():
    config = TrainingConfig(epochs=100, batch_size=256)
    assert config.steps_for(1_000_000) == math.ceil(100 * 1_000_000 / 256)
    assert TrainingConfig(epochs=0.5, batch_size=10).steps_for(100) == 5


def test_a_diverging_loss_is_reported():
    with pytest.raises(FloatingPointError, match="after 4 gradient steps"):
        model = nn.Linear(1, 1)
        data = (torch.ones(10, 1),)
        train(model, lambda a, generator: model(a).mean() * math.inf, data, CONFIG, torch.Generator())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "gradient_steps or epochs, not both"),
        ({"gradient_steps": 1, "epochs": 1.0}, "gradient_steps or epochs, not both"),
        ({"gradient_steps": 0}, "gradient_steps must be positive, got 0"),
        ({"gradient_steps": 1, "batch_size": -1}, "batch_size must be positive, got -1"),
        ({"gradient_steps": 1, "learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
    ],
)
def test_bad_budgets_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**options)
