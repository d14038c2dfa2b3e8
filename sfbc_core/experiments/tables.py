"""Tables: functions of the frame of results."""

from __future__ import annotations

import pandas as pd


def score_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean score for every task, method and variant: over seeds, and of each seed."""
    order = ["task", "method", "variant"]
    if frame.empty:
        return pd.DataFrame(columns=["score", "deviation over seeds", "each seed"])
    per_seed = frame.groupby([*order, "seed"], sort=False)["score"].mean()
    grouped = per_seed.groupby(order, sort=False)
    return pd.DataFrame(
        {
            "score": grouped.mean().round(1),
            "deviation over seeds": grouped.std(ddof=0).round(1),
            "each seed": grouped.apply(lambda scores: ", ".join(f"{score:.0f}" for score in scores)),
        }
    )
