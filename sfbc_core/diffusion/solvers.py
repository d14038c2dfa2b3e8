"""Solvers of the probability-flow ODE: one loop for every fixed-step method, and adaptive RK45 to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.diffusion.schedule import VPSchedule
from sfbc_core.diffusion.solver_coefficients import Method, Prediction, Stage, solver_stages
from sfbc_core.diffusion.spacings import Spacing

NoiseModel = Callable[[Tensor, float], Tensor]


def dpm_solver(
    noise_model: NoiseModel,
    x: Float[Tensor, "*batch A"],
    schedule: VPSchedule,
    steps: int,
    order: int = 3,
    method: Method = "singlestep",
    spacing: Spacing = "log_snr",
    prediction: Prediction = "noise",
    t_start: float = 1.0,
    t_end: float = 1e-3,
    high_order_start: bool = False,
) -> Float[Tensor, "*batch A"]:
    """Solve dx/dt = -½β(t)x + β(t)/(2σ_t) ε(x, t) (Eq. 6) from `t_start` down to `t_end`.

    Args:
        noise_model: (x, t) -> predicted noise ε, of the shape of x; t is a Python float.
        x: state at `t_start`, any leading shape; a sample of N(0, I) to sample from the model.
        steps: number of network evaluations D; exactly so many are spent.
        order: 1 (DDIM), 2 or 3.
        method: "singlestep" (Lu et al., 2022), "multistep", or "heun" (Karras et al., 2022; `order` has no meaning there).
        spacing: see :func:`sfbc_core.diffusion.spacings.step_times`. Public code for the paper's method uses "time".
        prediction: "noise" (DPM-Solver) or "data" (DPM-Solver++).
        high_order_start: multistep only. Its first step is otherwise of order 1, which holds multistep of order 3 to an
            observed order of 2; with this, the first step is a singlestep update of order 2 (one more evaluation, one step
            less) and order 3 is reached.

    Raises:
        TypeError: `x` that is no tensor of floating-point numbers.
        ValueError: `x` that is not finite, an unknown option, an order other than 1, 2, 3, fewer than 1 step, or times that
            are not decreasing.
    """
    _check_state(x)
    stages = solver_stages(schedule, steps, order, method, spacing, prediction, t_start, t_end, high_order_start)
    return run_stages(noise_model, x, stages, prediction)


def run_stages(
    noise_model: NoiseModel, x: Float[Tensor, "*batch A"], stages: Sequence[Stage], prediction: Prediction
) -> Float[Tensor, "*batch A"]:
    """The loop that all methods share; the state stays in the precision of `x`."""
    history = max(len(stage.weights) for stage in stages)
    start, outputs = x, []
    for stage in stages:
        output = noise_model(x, stage.time)
        if prediction == "data":
            output = (x - stage.sigma * output) / stage.alpha
        outputs = [output, *outputs[: history - 1]]
        x = stage.scale * start
        for weight, output in zip(stage.weights, outputs, strict=False):
            if weight:
                x = x.add_(output, alpha=weight)
        if stage.ends_step:
            start = x
    return x


def rk45(
    noise_model: NoiseModel,
    x: Float[Tensor, "*batch A"],
    schedule: VPSchedule,
    t_start: float = 1.0,
    t_end: float = 1e-3,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> tuple[Float[Tensor, "*batch A"], int]:
    """Solve the same ODE with torchdiffeq's adaptive Dormand-Prince 5(4).

    Returns:
        The state at `t_end` and the number of network evaluations that were spent.

    Raises:
        TypeError: `x` that is no tensor of floating-point numbers.
        ValueError: `x` that is not finite.
    """
    _check_state(x)
    if not x.numel():  # whose mean error, by which the steps are chosen, would be no number
        return x, 0
    from torchdiffeq import odeint  # only chapter 3 and its tests compare with it

    evaluations = 0

    def velocity(t: Tensor, state: Tensor) -> Tensor:
        nonlocal evaluations
        evaluations += 1
        time = t.item()
        beta = schedule.beta(time)
        return -0.5 * beta * state + 0.5 * beta / schedule.sigma(time) * noise_model(state, time)

    times = torch.tensor([t_start, t_end], dtype=torch.float64, device=x.device)
    # A step must land on t_end: by default the integrator steps past it and interpolates, and σ is not defined below t = 0.
    options = {"step_t": times[1:]}
    return odeint(velocity, x, times, rtol=rtol, atol=atol, method="dopri5", options=options)[-1], evaluations


def _check_state(x: Tensor) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        found = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x must be a tensor of floating-point numbers, got {found}")
    if not torch.isfinite(x).all():
        raise ValueError("x must be finite, found NaN or infinity")
