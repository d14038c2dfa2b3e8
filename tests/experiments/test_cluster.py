"""Trials on a Dask cluster: a real one on this machine, of which a worker is killed in the middle of a trial."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import dask
import pytest
from dask.distributed import Client, LocalCluster, WorkerPlugin
from processes import HANGS, outcome_of

from sfbc_core import training
from sfbc_core.experiments import Trial, run_suite
from sfbc_core.experiments import __main__ as command
from sfbc_core.experiments.cluster import dask_executor
from sfbc_core.experiments.results import read_lines


@pytest.fixture
def trials(tiny_sfbc):
    """Three, each long enough to be killed in."""
    training = replace(tiny_sfbc.behavior.training, gradient_steps=300, checkpoint_every=10)
    behavior = replace(tiny_sfbc.behavior, training=training)
    critic = replace(tiny_sfbc.critic, minimum_deviation=0.0)  # few transitions hold next to no reward
    config = replace(tiny_sfbc, behavior=behavior, critic=critic, planning_iterations=1)
    return [Trial("toy-maze", replace(config, seed=seed), 2, transitions=200, profile="smoke") for seed in range(3)]


@pytest.mark.slow
def test_what_a_killed_worker_had_begun_goes_on_in_another(tmp_path, trials, monkeypatch):
    alone = run_suite("toy-maze", "smoke", tmp_path / "alone", tmp_path / "results", trials=trials)
    monkeypatch.chdir(tmp_path)  # the workers are elsewhere, so that paths have to be whole

    class Witness(WorkerPlugin):
        """In every worker, be it a new one: waits at checkpoints, and writes down from which step it goes on."""

        def setup(self, worker):
            store, restore = training.store_checkpoint, training.restore_checkpoint

            def stored(path, *rest):
                store(path, *rest)
                while Path(tmp_path, "wait").exists():
                    time.sleep(0.01)

            def restored(path, *rest):
                first = restore(path, *rest)
                Path(tmp_path, f"went on from {first}").touch()
                return first

            training.store_checkpoint, training.restore_checkpoint = stored, restored

    def together(address):
        with dask_executor(address) as executor:
            return run_suite("toy-maze", "smoke", "runs", "there", trials=trials, executor=executor, logs="logs")

    with (
        LocalCluster(
            2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path / "dask")
        ) as cluster,
        Client(cluster) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        Path("wait").touch()
        client.register_plugin(Witness())
        before = set(client.run(os.getpid).values())
        done = thread.submit(together, cluster.scheduler_address)
        checkpoints, deadline = tmp_path / "runs" / "shared", time.monotonic() + HANGS
        while len(list(checkpoints.glob("*.partial.safetensors"))) < 2:  # until both are in the middle of one
            assert not done.done() and time.monotonic() < deadline, "nothing was left to be killed"
            time.sleep(0.01)
        os.kill(min(before), signal.SIGKILL)
        Path("wait").unlink()
        results = done.result(HANGS)
        assert min(before) not in client.run(os.getpid).values()
    lines = read_lines(tmp_path / "there" / "toy-maze.jsonl")
    assert sorted(line["id"] for line in lines) == sorted(trial.identity for trial in trials)
    assert [outcome_of(line) for line in results.lines] == [outcome_of(line) for line in alone.lines]
    went_on = [path.name for path in tmp_path.glob("went on from *")]
    assert went_on == ["went on from 10"], "another worker takes up what the dead one had begun, at its checkpoint"
    # Every process that is at work on a trial begins a file of TensorBoard: of one trial there were two.
    begun = [len(list(folder.glob("events*"))) for folder in (tmp_path / "logs").iterdir()]
    assert sorted(begun) == [1, 1, 2]


def test_a_cluster_that_does_not_answer_is_said_in_words(capsys):
    for arguments, message in (
        (["--dask", "nonsense"], "no Dask scheduler answers at nonsense: missing port number"),
        (["--dask", ""], "no Dask scheduler answers at : "),
        (["--dask", "tcp://127.0.0.1:9"], "no Dask scheduler answers at tcp://127.0.0.1:9: Timed out"),
        (["--dask", "tcp://127.0.0.1:9", "--jobs", "2"], "--jobs and --dask exclude each other"),
    ):
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}),
            pytest.raises(SystemExit) as ended,
        ):
            command.main(["run", "toy-maze", "--profile", "smoke", *arguments])
        assert ended.value.code == 2 and message in capsys.readouterr().err


def test_a_cluster_that_goes_away_is_said_in_words():
    with LocalCluster(0, processes=False, dashboard_address=None) as cluster:
        lost = pytest.raises(ConnectionError, match=r"is gone\. What is done is stored: give the command again")
        with lost, dask_executor(cluster.scheduler_address) as executor:
            future = executor.submit(os.getpid)  # no worker is there to answer
            cluster.close()
            future.result(HANGS)


def test_the_program_for_slurm_asks_for_one_gpu_and_one_thread(monkeypatch, capsys):
    """That of the page, as it stands there; it submits nothing before there is work, so that no Slurm is needed."""
    page = (Path(__file__).resolve().parents[2] / "book" / "cluster.md").read_text(encoding="utf-8")
    (program,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "SLURMCluster" in code)
    prompts, names = [], {}
    monkeypatch.setattr("builtins.input", prompts.append)
    with dask.config.set({"distributed.scheduler.allowed-failures": 3}):  # and back to what it was
        exec(program, names)
        names["cluster"].close()
        assert dask.config.get("distributed.scheduler.allowed-failures") == 100
    script = capsys.readouterr().out
    assert all(line in script for line in ("#SBATCH -p gpu", "#SBATCH --gres=gpu:1", "#SBATCH -t 08:00:00"))
    assert ".venv/bin/python -m distributed.cli.dask_worker" in script and "--nthreads 1" in script
    assert "The scheduler is at tcp://" in prompts[0]


def test_it_starts_without_dask_and_tensorboard_and_says_what_a_cluster_needs():
    code = (
        "import sys\n"
        "from sfbc_core.experiments.__main__ import main\n"
        "print({'dask', 'distributed', 'tensorboard'} & set(sys.modules))\n"
        "sys.modules['dask.distributed'] = None\n"
        "main(['run', 'toy-maze', '--profile', 'smoke', '--dask', 'tcp://127.0.0.1:9'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"
    assert done.returncode == 2 and 'pip install "sfbc-core[cluster]"' in done.stderr
