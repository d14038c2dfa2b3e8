"""One training loop for all models: index batches from resident tensors, one Adam, checkpoints that resume bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sfbc_core.checkpoints import restore_checkpoint, store_checkpoint
from sfbc_core.configuration import config_dataclass
from sfbc_core.loss_log import LossLog
from sfbc_core.progress import progress_bar
from sfbc_core.ranges import check_ranges

# (batch, number of the step, generator) -> named scalar losses, whose sum is minimised
Losses = Callable[[Any, int, torch.Generator], Mapping[str, Tensor]]
# (name of a network, number of the step, number of all steps) -> its learning rate
LearningRate = Callable[[str, int, int], float]


@runtime_checkable
class Rows(Protocol):
    """What batches are drawn from: `len`, and the rows of an index as one batch. `torch.utils.data.TensorDataset` is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor) -> Any: ...


@config_dataclass
class TrainingConfig:
    """How long and how fast a model is trained. Give `gradient_steps` or `epochs`, not both."""

    gradient_steps: int | None = None
    epochs: int | float | None = None  # passes over the data; batches are drawn with replacement
    batch_size: int = 4096
    learning_rate: float = 1e-3
    cosine_decay: bool = False  # lower the learning rate to 0 along half a cosine
    warmup_steps: int = 0  # raise the learning rate from 0 over so many steps
    weight_decay: float = 0.0  # decoupled from the gradient, as in AdamW
    gradient_clip: float | None = None  # largest norm of the gradient of all parameters; None: no limit
    checkpoint_every: int = 10_000  # gradient steps between checkpoints, where a checkpoint path is given
    log_every: int = 100  # gradient steps between entries of the loss history

    def __post_init__(self) -> None:
        if (self.gradient_steps is None) == (self.epochs is None):
            raise ValueError(
                f"give gradient_steps or epochs, not both; got gradient_steps={self.gradient_steps}, epochs={self.epochs}"
            )
        sizes = [
            "gradient_steps",
            "epochs",
            "batch_size",
            "learning_rate",
            "gradient_clip",
            "checkpoint_every",
            "log_every",
        ]
        check_ranges(self, positive=sizes, nonnegative=["warmup_steps", "weight_decay"])

    @classmethod
    def small(
        cls,
        gradient_steps: int,
        *,
        batch_size: int = 1024,
        learning_rate: float = 2e-3,
        checkpoint_every: int = 500,
        **options: Any,
    ) -> TrainingConfig:
        """A budget for a CPU: few steps, fast at first and slower along a cosine; `options` are other fields."""
        options = {"cosine_decay": True, **options}
        return cls(
            gradient_steps=gradient_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            checkpoint_every=checkpoint_every,
            **options,
        )

    def steps_for(self, rows: int) -> int:
        """Gradient steps on a data set of that many rows."""
        if self.gradient_steps is not None:
            return self.gradient_steps
        return max(1, math.ceil(self.epochs * rows / self.batch_size))

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of gradient step `step`, counted from 0, of `steps`."""
        rate = self.learning_rate
        if self.cosine_decay:
            rate = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        if step < self.warmup_steps:
            rate = rate * (step + 1) / self.warmup_steps
        return rate


def train(
    networks: Mapping[str, nn.Module],
    losses: Losses,
    data: Rows,
    config: TrainingConfig,
    generator: torch.Generator,
    *,
    learning_rate: LearningRate | None = None,
    after_step: Callable[[int], None] | None = None,
    checkpoint: Path | None = None,
    progress: str | None = None,
) -> dict[str, list[float]]:
    """Minimise the sum of `losses` over batches of `data`, in place on `networks`.

    One Adam with a parameter group for each network equals one Adam a network to the bit, as long as no parameter gets
    gradients from two losses. A loss that is absent from a step leaves its network alone in that step: this is how an
    actor is updated every other step only.

    Args:
        networks: by name. Parameters that require no gradient, those of target networks, are not touched here.
        losses: called as ``losses(batch, step, generator)``; returns scalars by name.
        data: on the networks' device.
        generator: draws the batches and whatever the losses draw; on the networks' device.
        learning_rate: of each network; by default `config.rate` for all.
        after_step: called with the number of each step after its update, without gradients: for target networks. State
            of its own must live in buffers of `networks`, or a resumed training would lack it.
        checkpoint: file for the state of an unfinished training, written every `config.checkpoint_every` steps; when it
            exists, training goes on from it and ends with the same weights as without the interruption. The caller
            removes it once the result is stored.
        progress: label of a progress bar; None for no bar.

    Returns:
        For each loss, its mean over every `config.log_every` steps.

    Raises:
        FloatingPointError: a loss became NaN or infinite.
        ValueError: the checkpoint is damaged or of another training.
        OSError: the checkpoint cannot be written; the one before it stays.
    """
    steps, first = config.steps_for(len(data)), 0
    rate = learning_rate or (lambda name, step, steps: config.rate(step, steps))
    trained = {
        name: [parameter for parameter in network.parameters() if parameter.requires_grad]
        for name, network in networks.items()
    }
    trained = {name: parameters for name, parameters in trained.items() if parameters}
    # fused: one kernel for all parameters. Several times faster than the loop over parameters at these sizes.
    kind = torch.optim.AdamW if config.weight_decay else torch.optim.Adam
    optimizer = kind(
        [{"params": parameters} for parameters in trained.values()],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    log = LossLog(config.log_every)
    if checkpoint is not None and checkpoint.exists():
        first = restore_checkpoint(checkpoint, networks, optimizer, generator, log, steps)
    for network in networks.values():
        network.train()
    with progress_bar(steps, progress or "", initial=first, enabled=progress is not None) as bar:
        for step in range(first, steps):
            for name, group in zip(trained, optimizer.param_groups, strict=True):
                group["lr"] = rate(name, step, steps)
            index = torch.randint(len(data), (config.batch_size,), generator=generator, device=generator.device)
            values = losses(data[index], step, generator)
            optimizer.zero_grad(set_to_none=True)
            torch.stack(tuple(values.values())).sum().backward()
            if config.gradient_clip is not None:
                nn.utils.clip_grad_norm_([p for group in trained.values() for p in group], config.gradient_clip)
            optimizer.step()
            if after_step is not None:
                with torch.no_grad():
                    after_step(step)
            done = step + 1
            log.add(values, done, last=done == steps)
            if checkpoint is not None and done % config.checkpoint_every == 0 and done < steps:
                store_checkpoint(checkpoint, networks, optimizer, generator, done, log)
            bar.update()
    for network in networks.values():
        network.eval()
    return log.history
