"""A data set in a few lines of text."""

from __future__ import annotations

import numpy as np

from sfbc_core.arrays import as_words
from sfbc_core.trajectories import Trajectories

TEXT_BINS, TEXT_BAR = 8, 40  # lines and characters of the histogram in the summary


def summarize(data: Trajectories) -> str:
    """Sizes, ends, lengths, rewards and returns of a data set, with a histogram of the returns."""
    lengths, returns = data.episode_lengths.cpu().numpy(), data.episode_returns.cpu().numpy()
    rewards, terminals = data.rewards.cpu().double(), int(data.terminals.sum())
    nonzero = 100 * float((rewards != 0).double().mean())
    lines = [
        f"{len(data):,} transitions in {len(lengths):,} episodes",
        f"  observations  {data.observation_dim} coordinates",
        f"  actions       {data.action_dim} coordinates in [{as_words(data.action_low)}, {as_words(data.action_high)}]",
        f"  ends          {terminals:,} terminals, {len(lengths) - terminals:,} timeouts",
        f"  length        {_spread(lengths)}",
        f"  reward        {_spread(rewards.numpy())}, nonzero in {nonzero:.3g} % of the transitions",
        f"  return        {_spread(returns)}",
        *(f"    {line}" for line in _bars(returns)),
    ]
    return "\n".join(lines)


def _spread(values: np.ndarray) -> str:
    low, median, high = np.quantile(values, (0, 0.5, 1))
    return f"{low:.5g} to {high:.5g}, median {median:.5g}, mean {values.mean():.5g}"


def _bars(values: np.ndarray) -> list[str]:
    """A histogram of text, one line a bin."""
    if not np.ptp(values):
        return []
    counts, edges = np.histogram(values, TEXT_BINS)
    # The fullest bin fills the line, and a bin that holds anything shows at least one mark.
    lengths = np.ceil(counts / counts.max() * TEXT_BAR).astype(int)
    bounds = [f"{edge:.5g}" for edge in edges]
    width = max(map(len, bounds))
    return [
        f"{low:>{width}} to {high:>{width}}  {'#' * length:<{TEXT_BAR}} {count:,}"
        for low, high, length, count in zip(bounds[:-1], bounds[1:], lengths, counts, strict=True)
    ]
