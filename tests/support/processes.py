"""Fits and trials in processes of their own, to be killed, or to meet another one on the same folder.

The processes are forked from one that has imported the package, so that each starts at once and all of its life is work.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

import sfbc_core.files
import sfbc_core.run
import sfbc_core.training
from sfbc_core import Trajectories
from sfbc_core.configuration import config_from_json, config_to_json
from sfbc_core.experiments import Trial, run_trial
from sfbc_core.files import load_json, load_tensors, save_json, save_tensors
from sfbc_core.methods import METHODS

PROCESSES = multiprocessing.get_context("forkserver")
# The second is what the first optimizer of a process would import, for seconds.
PROCESSES.set_forkserver_preload(["sfbc_core.experiments", "torch._dynamo"])
HANGS = 600  # seconds after which a process is taken to hang; no test is about times


class Started:
    """A process that is at work on `function(*arguments)`; both must be known by name to another process."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._receiver, sender = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=_report, args=(sender, function, arguments), daemon=True)
        self.process.start()
        sender.close()

    @property
    def running(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> bool:
        """End it by SIGKILL; whether it was still at work."""
        self.process.kill()
        self.process.join()
        return self.process.exitcode == -signal.SIGKILL

    @property
    def cpu_seconds(self) -> float:
        """What it has used so far; how long that takes depends on what else the machine does."""
        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return math.inf
        return times.user + times.system

    def result(self) -> Any:
        """Wait for what the function returns; what it raises is raised here."""
        assert self._receiver.poll(HANGS), "the process hangs"
        error, value, self.used = self._receiver.recv()  # EOFError: it ended without a word
        self.process.join()
        if error is not None:
            raise error
        return value

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait until the condition holds, as long as the process is at work."""
        deadline = time.monotonic() + HANGS
        while not condition():
            assert self.running and time.monotonic() < deadline, "the process ended or hangs"
            time.sleep(0.002)


def _report(sender: Any, function: Callable[..., Any], arguments: tuple) -> None:
    torch.set_num_threads(1)
    try:
        answer = None, function(*arguments)
    except Exception as error:
        answer = error, None
    sender.send((*answer, time.process_time()))


def _wait_after_checkpoints() -> None:
    """Hang after every checkpoint, to be killed there."""
    store = sfbc_core.training.store_checkpoint
    sfbc_core.training.store_checkpoint = lambda *arguments: (store(*arguments), time.sleep(HANGS))


def store_fit(folder: Path, config: Any, data: Trajectories) -> None:
    """Write down what :func:`fit_stored` reads."""
    save_tensors(folder / "data.safetensors", data.tensors())
    save_json(folder / "config.json", config_to_json(config))


def fit_stored(folder: Path, wait: bool = False) -> None:
    """Fit what is stored in the folder, in its folder `run`, and save the agent in `agent`."""
    if wait:
        _wait_after_checkpoints()
    config = config_from_json(load_json(folder / "config.json"), *METHODS)
    data = Trajectories(**load_tensors(folder / "data.safetensors"))
    METHODS[type(config)](config).fit(data, folder / "run").save(folder / "agent")


def run_stored_trial(path: Path, folder: Path, wait: bool = False) -> dict[str, Any]:
    """The trial in a JSON file, run in the folder; data are generated beside it, as on a machine that is new to them."""
    if wait:
        _wait_after_checkpoints()
    os.environ["SFBC_CACHE_DIR"] = str(folder / "cache")
    return run_trial(Trial.from_json(load_json(path)), folder)


def run_counted_trial(path: Path, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The same; also the names of the finished units that this process wrote."""
    written, save = [], sfbc_core.run.save_tensors
    sfbc_core.run.save_tensors = lambda path, *arguments: (written.append(path.name), save(path, *arguments))
    return run_stored_trial(path, folder), written


def outcome_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's result without what differs from run to run: when it was made, and how long that took."""
    return {name: value for name, value in result.items() if name not in ("provenance", "digest")}


def bits_of(folder: Path) -> dict[str, dict[str, bytes]]:
    """Every tensor in every finished file of tensors below a folder."""
    paths = [path for path in folder.rglob("*.safetensors") if not path.parent.name.startswith(".")]
    return {
        path.relative_to(folder).as_posix(): {
            name: bytes(tensor.reshape(-1).view(torch.uint8).numpy()) for name, tensor in load_tensors(path).items()
        }
        for path in paths
    }


def trial_on_full_disks(path: Path, folder: Path, draws: Sequence[tuple[float, float]]) -> list[str]:
    """Run the trial in a file once undisturbed; then for each draw, which says in which write the disk is full and at which
    share of what is written, and again with space. The names of the files that could not be written.
    """
    from full_disk import files, limit, refused  # POSIX only

    trial, writes, full_at, share = Trial.from_json(load_json(path)), [], None, 0.0
    atomic = sfbc_core.files.atomic_path

    def counted(path: Path, size: int) -> Any:
        writes.append(Path(path).name)
        if len(writes) == full_at:
            limit(int(share * size))
        return atomic(path, size)

    trial.load_data()  # into the cache
    sfbc_core.files.atomic_path = counted
    expected = outcome_of(run_trial(trial, folder / "undisturbed"))
    names = list(writes)
    for number, (place, share) in enumerate(draws):  # noqa: B007, `counted` uses it
        here, full_at = folder / str(number), 1 + int(place * len(names))
        writes.clear()
        refused(lambda here=here: run_trial(trial, here), names[full_at - 1])
        kept = files(here)
        full_at = None
        result = run_trial(trial, here)
        assert outcome_of(result) == expected and bits_of(here) == bits_of(folder / "undisturbed")
        done = {name for name in kept if "partial" not in name}
        assert all(name in files(here) for name in done), "what was finished stays"
    return [names[int(place * len(names))] for place, _ in draws]
