"""Where a solver places its steps between t_start and t_end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

from sfbc_core.diffusion.schedule import VPSchedule

Spacing = Literal["time", "quadratic", "log_snr", "edm"]

# Exponent ρ of the noise-level spacing of Karras et al. (2022), Eq. 5; their value.
EDM_EXPONENT = 7.0


def step_times(
    schedule: VPSchedule, fractions: Sequence[float], spacing: Spacing, t_start: float, t_end: float
) -> list[float]:
    """Times at given fractions of the way from `t_start` (fraction 0) down to `t_end` (fraction 1).

    `spacing` says in which variable the way is measured:
        "time": t itself (as in public code for the paper's method); "quadratic": √t; "log_snr": λ_t = log(α_t/σ_t);
        "edm": (σ_t/α_t)^(1/7), the noise levels of Karras et al. (2022).

    Raises:
        ValueError: an unknown spacing, or not 0 < t_end < t_start <= 1.
    """
    if not 0 < t_end < t_start <= 1:
        raise ValueError(f"expected 0 < t_end < t_start <= 1, got t_end={t_end}, t_start={t_start}")
    if spacing == "time":
        forward, inverse = (lambda t: t), (lambda u: u)
    elif spacing == "quadratic":
        forward, inverse = math.sqrt, (lambda u: u * u)
    elif spacing == "log_snr":
        forward, inverse = schedule.log_snr, schedule.time
    elif spacing == "edm":
        forward = lambda t: math.exp(-schedule.log_snr(t) / EDM_EXPONENT)  # noqa: E731
        inverse = lambda u: schedule.time(-EDM_EXPONENT * math.log(u))  # noqa: E731
    else:
        raise ValueError(f"spacing must be one of {get_args(Spacing)}, got {spacing!r}")
    first, last = forward(t_start), forward(t_end)
    times = [inverse(first + fraction * (last - first)) for fraction in fractions]
    # The ends are exact by definition; going through a function and its inverse would move them by a rounding error.
    return [t_start if f == 0 else t_end if f == 1 else t for f, t in zip(fractions, times, strict=True)]
