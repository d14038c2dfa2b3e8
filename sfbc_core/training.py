"""One training loop for all models: index batches from resident tensors, Adam, checkpoints that resume bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from sfbc_core.files import load_tensors, save_tensors

# (batch tensors, generator) -> scalar loss
Loss = Callable[..., Tensor]


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast a model is trained. Give `gradient_steps` or `epochs`, not both."""

    gradient_steps: int | None = None
    epochs: int | float | None = None  # passes over the data; batches are drawn with replacement
    batch_size: int = 4096
    learning_rate: float = 1e-3
    cosine_decay: bool = False  # lower the learning rate to 0 along half a cosine
    checkpoint_every: int = 10_000  # gradient steps between checkpoints, where a checkpoint path is given
    log_every: int = 100  # gradient steps between entries of the loss history

    def __post_init__(self) -> None:
        if (self.gradient_steps is None) == (self.epochs is None):
            raise ValueError(
                f"give gradient_steps or epochs, not both; got gradient_steps={self.gradient_steps}, epochs={self.epochs}"
            )
        for name in ("gradient_steps", "epochs", "batch_size", "learning_rate", "checkpoint_every", "log_every"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")

    def steps_for(self, rows: int) -> int:
        """Gradient steps on a data set of that many rows."""
        if self.gradient_steps is not None:
            return self.gradient_steps
        return max(1, math.ceil(self.epochs * rows / self.batch_size))


def train(
    model: nn.Module,
    loss: Loss,
    data: Sequence[Tensor],
    config: TrainingConfig,
    generator: torch.Generator,
    *,
    checkpoint: Path | None = None,
    progress: str | None = None,
) -> list[float]:
    """Minimise `loss` over batches of rows of `data`, in place on `model`.

    Args:
        loss: called as ``loss(*batch, generator=generator)``; returns a scalar.
        data: tensors of equal length on the model's device.
        generator: draws the batches and whatever the loss draws; on the model's device.
        checkpoint: file for the state of an unfinished training, written every `config.checkpoint_every` steps; when it
            exists, training goes on from it and ends with the same weights as without the interruption. The caller
            removes it once the result is stored.
        progress: label of a progress bar; None for no bar.

    Returns:
        The mean loss of every `config.log_every` steps.

    Raises:
        FloatingPointError: the loss became NaN or infinite.
    """
    rows = len(data[0])
    steps = config.steps_for(rows)
    # fused: one kernel for all parameters. Several times faster than the loop over parameters at these sizes.
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    history: list[float] = []
    running = torch.zeros((), device=data[0].device)
    first = 0
    if checkpoint is not None and checkpoint.exists():
        first = _restore(checkpoint, model, optimizer, generator, history, running)
    model.train()
    for step in tqdm(
        range(first, steps), initial=first, total=steps, desc=progress, disable=progress is None, leave=False
    ):
        if config.cosine_decay:
            optimizer.param_groups[0]["lr"] = config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        index = torch.randint(rows, (config.batch_size,), generator=generator, device=data[0].device)
        value = loss(*(tensor[index] for tensor in data), generator=generator)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        running += value.detach()  # stays on the device: reading it each step would stall a GPU
        done = step + 1
        if done % config.log_every == 0 or done == steps:
            mean = running.item() / (done - len(history) * config.log_every)
            if not math.isfinite(mean):
                raise FloatingPointError(f"the loss is {mean} after {done} gradient steps; lower the learning rate?")
            history.append(mean)
            running.zero_()
        if checkpoint is not None and done % config.checkpoint_every == 0 and done < steps:
            _store(checkpoint, model, optimizer, generator, done, history, running)
    model.eval()
    return history


def _store(path, model, optimizer, generator, step, history, running) -> None:
    """Everything that the rest of the training depends on."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": value for name, value in state.items()}
    tensors["generator"] = generator.get_state()
    tensors["history"] = torch.tensor(history, dtype=torch.float64)
    tensors["running"] = running
    tensors["step"] = torch.tensor(step)
    save_tensors(path, tensors)


def _restore(path, model, optimizer, generator, history, running) -> int:
    """Put the stored state back in place; returns the number of steps already done."""
    tensors = load_tensors(path)
    prefix = "model."
    model.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("adam."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    generator.set_state(tensors["generator"])
    history.extend(tensors["history"].tolist())
    running.copy_(tensors["running"])
    return int(tensors["step"])
