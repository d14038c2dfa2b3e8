"""The hot paths against the straightforward way to write them: ratios, with both sides in one run.

    make benchmark

Each ratio is the median over paired repetitions, alternating the two sides, so that a machine that slows down slows both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, TensorDataset

from sfbc_core import ScoreNetworkConfig, Trajectories, VPSchedule, dpm_solver, planned_returns
from sfbc_core.diffusion import ScoreNetwork
from sfbc_core.networks import Ensemble, mlp, rows_at_once

REPETITIONS = 5


def compare(name: str, ours: Callable[[], object], usual: Callable[[], object]) -> None:
    """Print the median times of both sides and of their ratio."""
    ours(), usual()  # compile, allocate, warm the caches
    pairs = [(_seconds(ours), _seconds(usual)) for _ in range(REPETITIONS)]
    ratio = statistics.median(slow / fast for fast, slow in pairs)
    fast, slow = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"{name:55s} {1e3 * fast:9.2f} ms  {1e3 * slow:9.2f} ms  {ratio:7.1f}x")


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def planning() -> None:
    """Eq. 12 for 1 M transitions."""
    n = 1_000_000
    terminals = torch.rand(n) < 0.01
    terminals[-1] = True
    data = Trajectories(torch.zeros(n, 1), torch.zeros(n, 1), torch.rand(n), terminals, torch.zeros(n))
    values = torch.rand(n, dtype=torch.float64)
    rewards, listed, ends = data.rewards.tolist(), values.tolist(), terminals.tolist()

    def loop() -> list[float]:
        result, later = [0.0] * n, 0.0
        for i in range(n - 1, -1, -1):
            later = rewards[i] + 0.99 * (0.0 if ends[i] else max(later, listed[i + 1]))
            result[i] = later
        return result

    compare("planned returns, 1 M transitions / a Python loop", lambda: planned_returns(data, values), loop)


def batches() -> None:
    """100 batches of 4096 rows."""
    states, actions = torch.randn(400_000, 17), torch.randn(400_000, 6)
    generator = torch.Generator().manual_seed(0)

    def by_index() -> None:
        for _ in range(100):
            index = torch.randint(len(states), (4096,), generator=generator)
            states[index], actions[index]

    def by_row() -> None:
        for number, _ in enumerate(DataLoader(TensorDataset(states, actions), batch_size=4096, shuffle=True)):
            if number == 99:
                break

    compare("100 batches of 4096 rows / a row-wise DataLoader", by_index, by_row)


def candidates() -> None:
    """16 candidates of 256 states at D = 15, network of the paper's size."""
    network = ScoreNetwork(6, 17, ScoreNetworkConfig()).eval()
    states, noise, schedule = torch.randn(256, 17), torch.randn(256, 16, 6), VPSchedule()
    repeated = states[:, None].expand(-1, 16, -1).reshape(-1, 17)

    @torch.no_grad()
    def shared() -> None:
        for part in range(0, 256, 64):  # chunks of 1024 rows
            embedded = network.embed_states(states[part : part + 64])[:, None]

            def model(x: torch.Tensor, t: float, embedded: torch.Tensor = embedded) -> torch.Tensor:
                return network.predict(x, network.condition(embedded, network.embed_times(torch.tensor([t]))[0]))

            dpm_solver(model, noise[part : part + 64], schedule, 15)

    @torch.no_grad()
    def for_each() -> None:
        dpm_solver(lambda x, t: network(x, repeated, torch.full((len(x),), t)), noise.reshape(-1, 6), schedule, 15)

    compare("16 candidates, shared condition / one for each", shared, for_each)


@torch.no_grad()
def values() -> None:
    """V of 200,000 states by two networks, as the memory of VEM has it of all data."""
    networks, states = Ensemble(mlp([4, 256, 256, 1]) for _ in range(2)), torch.randn(200_000, 4)

    def in_parts_of(rows: int) -> torch.Tensor:
        return torch.cat([networks(part)[..., 0].amin(0) for part in states.split(rows)])

    rows = rows_at_once(states.device)
    compare(f"200 k values, {rows} at a time / 65,536", lambda: in_parts_of(rows), lambda: in_parts_of(65_536))


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; median of {REPETITIONS} pairs")
    print(f"{'':55s} {'ours':>12s} {'usual':>13s} {'ratio':>8s}")
    planning()
    batches()
    candidates()
    values()
