"""The training loop: budgets, reproducibility, and resuming to the bit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from sfbc_core import TrainingConfig
from sfbc_core.networks import update_average
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

    def losses(batch, step, generator):
        inputs, targets = batch
        nonlocal calls
        calls += 1
        if calls == stop_after:
            raise Interruption
        noise = torch.randn(targets.shape, generator=generator)
        return {"line": (model(inputs) - targets - 0.1 * noise).square().mean()}

    config, generator = options.pop("config", CONFIG), torch.Generator().manual_seed(1)
    history = train({"line": model}, losses, TensorDataset(x, 2 * x - 1), config, generator, **options)
    return [p.detach().clone() for p in model.parameters()], history["line"]


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

    def losses(batch, step, generator):
        return {"line": (model(batch[0]) - batch[1]).square().mean()}

    train({"line": model}, losses, TensorDataset(x, 2 * x - 1), config, torch.Generator())
    assert model.weight.item() == pytest.approx(2, abs=1e-3) and model.bias.item() == pytest.approx(-1, abs=1e-3)


def two_networks():
    torch.manual_seed(2)
    return {"first": nn.Linear(3, 1), "second": nn.Linear(3, 1)}


def test_one_adam_over_the_sum_is_one_adam_a_network():
    """To the bit, also where one of them is updated every third step only."""
    data = TensorDataset(torch.randn(30, 3, generator=torch.Generator().manual_seed(0)))
    nets, alone = two_networks(), two_networks()

    def losses(batch, step, generator):
        values = {"first": (nets["first"](batch[0]) - 1).square().mean()}
        if step % 3 == 0:
            values["second"] = (nets["second"](batch[0]) + 1).square().mean()
        return values

    rates = {"first": 1e-2, "second": 3e-3}
    history = train(
        nets,
        losses,
        data,
        CONFIG,
        torch.Generator().manual_seed(1),
        learning_rate=lambda name, step, steps: rates[name],
    )
    generator = torch.Generator().manual_seed(1)
    adams = {n: torch.optim.Adam(net.parameters(), lr=rates[n], fused=True) for n, net in alone.items()}
    targets, means = {"first": 1.0, "second": -1.0}, []
    for step in range(50):
        (x,) = data[torch.randint(30, (8,), generator=generator)]
        for name in ("first", "second") if step % 3 == 0 else ("first",):
            loss = (alone[name](x) - targets[name]).square().mean()
            adams[name].zero_grad()
            loss.backward()
            adams[name].step()
            means += [loss.item()] if name == "second" else []
    for name, net in nets.items():
        assert all(torch.equal(a, b) for a, b in zip(net.parameters(), alone[name].parameters(), strict=True)), name
    # An absent loss does not count in its mean: steps 0 and 3 are the two of the first four that have it.
    assert history["second"][0] == pytest.approx((means[0] + means[1]) / 2)


def test_target_networks_are_moved_after_each_step_and_by_nothing_else():
    nets = two_networks()
    nets["second"].requires_grad_(False)
    seen = []

    def after_step(step):
        assert not torch.is_grad_enabled()
        seen.append(step)
        update_average(nets["second"], nets["first"], 0.25)

    before = nets["second"].weight.clone()
    config = replace(CONFIG, gradient_steps=1)
    data = TensorDataset(torch.ones(10, 3))
    train(
        nets,
        lambda batch, *_: {"l": nets["first"](batch[0]).sum()},
        data,
        config,
        torch.Generator(),
        after_step=after_step,
    )
    torch.testing.assert_close(nets["second"].weight, 0.75 * before + 0.25 * nets["first"].weight)
    assert seen == [0]


def test_rates_warm_up_and_decay():
    config = TrainingConfig(gradient_steps=100, learning_rate=2.0, warmup_steps=4, cosine_decay=True)
    assert [config.rate(step, 100) for step in (0, 50, 100)] == pytest.approx([0.5, 1.0, 0.0])


def test_weight_decay_and_clipping_by_hand():
    """A gradient of norm 5 is clipped to 1; Adam's first step has size lr; the decay takes lr · wd of a weight."""
    net = nn.Linear(2, 1, bias=False)
    nn.init.ones_(net.weight)
    config = TrainingConfig(gradient_steps=1, batch_size=1, learning_rate=0.1, weight_decay=0.5, gradient_clip=1.0)
    seen = []

    def after_step(step):
        seen.append(net.weight.grad.norm().item())

    data = TensorDataset(torch.tensor([[3.0, 4.0]]))
    train(
        {"net": net},
        lambda batch, *_: {"l": net(batch[0]).sum()},
        data,
        config,
        torch.Generator(),
        after_step=after_step,
    )
    assert seen == pytest.approx([1.0], rel=1e-4)
    torch.testing.assert_close(net.weight.detach(), torch.full((1, 2), 1 - 0.1 * 0.5 - 0.1), rtol=1e-4, atol=0)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "partial.safetensors"
    with pytest.raises(Interruption):
        regression(20, checkpoint=path)
    nets, data = two_networks(), TensorDataset(torch.ones(10, 3))
    with pytest.raises(ValueError, match="is damaged or a checkpoint of another training, remove it"):
        train(nets, lambda b, *_: {"l": nets["first"](b[0]).sum()}, data, CONFIG, torch.Generator(), checkpoint=path)


def test_epochs_count_passes_over_the_data():
    config = TrainingConfig(epochs=100, batch_size=256)
    assert config.steps_for(1_000_000) == math.ceil(100 * 1_000_000 / 256)
    assert TrainingConfig(epochs=0.5, batch_size=10).steps_for(100) == 5


def test_a_diverging_loss_is_reported():
    model = nn.Linear(1, 1)

    def losses(batch, step, generator):
        return {"bad": model(batch[0]).mean() * math.inf}

    with pytest.raises(FloatingPointError, match=r"the loss 'bad' is .* after 4 gradient steps"):
        train({"line": model}, losses, TensorDataset(torch.ones(10, 1)), CONFIG, torch.Generator())


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
