"""The state of an unfinished training in a file, from which it goes on and ends with the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from sfbc_core.files import check_layout, join_parts, load_tensors, save_tensors, split_parts, understanding
from sfbc_core.loss_log import LossLog


def store_checkpoint(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    step: int,
    log: LossLog,
) -> None:
    """Write everything that the rest of a training depends on, after `step` steps.

    Raises:
        OSError: it cannot be written; the checkpoint before it stays.
    """
    parts = {f"network-{name}": network.state_dict() for name, network in networks.items()}
    moments = optimizer.state_dict()["state"]
    parts |= {f"adam-{index}": state for index, state in moments.items()}
    loop = {"generator": generator.get_state(), "step": torch.tensor(step), "moments": torch.tensor(len(moments))}
    parts |= {"log": log.tensors(), "loop": loop}
    save_tensors(path, join_parts(parts))


def restore_checkpoint(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    log: LossLog,
    steps: int,
) -> int:
    """Put the stored state back in place; returns the number of steps already done, of `steps`.

    Raises:
        ValueError: the file is damaged or a checkpoint of another training.
    """
    parts = split_parts(load_tensors(path))
    with understanding(path, "is damaged or a checkpoint of another training, remove it"):
        for name, network in networks.items():
            tensors = parts.pop(f"network-{name}")
            check_layout(tensors, network.state_dict())
            network.load_state_dict(tensors)
        moments = {int(name[5:]): parts.pop(name) for name in list(parts) if name.startswith("adam-")}
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for index, tensors in moments.items():
            like = dict.fromkeys(("exp_avg", "exp_avg_sq"), parameters[index])
            check_layout(tensors, {"step": torch.tensor(0.0), **like})
        log.load_tensors(parts.pop("log", {}))
        loop = parts.pop("loop")
        check_layout(parts, {})
        # A parameter that no loss has reached yet has no moments, so their number cannot be told from the networks.
        counts = {name: torch.tensor(0) for name in ("step", "moments")}
        loop.setdefault("moments", torch.tensor(len(moments)))  # a checkpoint of before this was kept
        check_layout(loop, {**counts, "generator": generator.get_state()})
        done = int(loop["step"])
        if not 0 < done < steps or len(moments) != int(loop["moments"]):
            raise ValueError(
                f"expected fewer than {steps} steps and moments of {int(loop['moments'])} parameters, "
                f"got {done} steps and moments of {len(moments)}"
            )
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        generator.set_state(loop["generator"])
    return done
