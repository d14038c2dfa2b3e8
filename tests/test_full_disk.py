"""On a full disk: an error in words, nothing lost, nothing left behind, and after space is made the same bits.

A limit of the size of files (RLIMIT_FSIZE) in a process of its own stands for the full disk: writes fail in the same way,
only the number of the error is another.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from sfbc_core.configuration import config_to_json
from sfbc_core.files import save_json, save_tensors

pytest.importorskip("resource", reason="limits of a process are POSIX")

SUPPORT = Path(__file__).resolve().parent / "support"

COMMON = """
import os, sys, warnings
from pathlib import Path

import torch
from full_disk import files, limit, refused

torch.set_num_threads(1)
folder = Path(sys.argv[1])
"""

SAVES = """
from sfbc_core.experiments.results import add_lines
from sfbc_core.files import save_json, save_tensors
from sfbc_core.experiments.checks import RESULT

line = dict.fromkeys(RESULT, "short")
for value in (1, 2):
    actions = {
        "a.safetensors": lambda: save_tensors(folder / "a.safetensors", {"x": torch.full((value * value * 500,), value)}),
        "b.json": lambda: save_json(folder / "b.json", list(range(value * value * 500))),
        "c.jsonl": lambda: add_lines(folder / "c.jsonl", [{**line, "trial": "x" * value * value * 2000}]),
    }
    if value == 1:
        for action in actions.values():
            action()
before = files(folder)
assert len(before) == 3
for name, action in actions.items():
    limit(7000)
    refused(action, name)
    assert files(folder) == before, name
    print("kept", name)
"""

FIT = """
import sfbc_core.files
from sfbc_core import Trajectories
from sfbc_core.files import load_tensors
from sfbc_core.methods import SfBC, SfBCConfig, Method
from sfbc_core.methods.base import AGENT_FILE
from sfbc_core.configuration import config_from_json
from sfbc_core.files import load_json, load_metadata

config = config_from_json(load_json(folder / "config.json"), SfBCConfig)
data = Trajectories(**load_tensors(folder / "data.safetensors"))
save, writes, full_at = sfbc_core.files.save_file, [], None


def counted(tensors, path, metadata):
    writes.append(path.name)
    if len(writes) == full_at:
        limit(100)
    save(tensors, path, metadata)


sfbc_core.files.save_file = counted
SfBC(config).fit(data, folder / "undisturbed").save(folder / "agent")
expected, names = files(folder / "undisturbed"), list(writes)
for full_at, name in enumerate(names, 1):
    writes.clear()
    here = folder / f"full-{full_at}"
    refused(lambda: SfBC(config).fit(data, here / "run").save(here / "agent"), name)
    kept = files(here / "run")
    assert set(names[: full_at - 1]) - set(kept) <= {n for n in names if "partial" in n}, "what was finished stays"
    if names[full_at - 2 : full_at - 1] and "partial" in names[full_at - 2] and full_at > 1:
        assert names[full_at - 2] in kept, "and so does the checkpoint of before"
    writes.clear()
    again, full_at = full_at, None
    SfBC(config).fit(data, here / "run").save(here / "agent")
    assert set(writes) <= set(names[again - 1 :]), "only what was not finished is done again"
    assert files(here / "run") == expected, name
    # Not compared as bytes, because the order of the metadata in a file is not fixed.
    one, other = here / "agent" / AGENT_FILE, folder / "agent" / AGENT_FILE
    assert load_metadata(one) == load_metadata(other) and "sha256" in load_metadata(one), "to the bit"
    # An agent that was there before is still there.
    agent = files(here / "agent")
    limit(100)
    refused(lambda: Method.load(folder / "agent").save(here / "agent"), AGENT_FILE)
    assert files(here / "agent") == agent
print(" ".join(names))
"""

CACHE = """
from sfbc_core import load_task

os.environ["SFBC_CACHE_DIR"] = str(folder)
limit(100)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    data = load_task("toy-maze").load_trajectories(transitions=300)
(warning,) = [str(one.message) for one in caught if "not cached" in str(one.message)]
assert str(folder) in warning and "MB needed" in warning, warning
assert len(data) == 300 and files(folder) == {}
print("returned", len(data))
"""

RECORDING = """
from sfbc_core.tasks.d4rl.regeneration import recording
from sfbc_core.tasks.d4rl.regeneration.recipes import make_recipe

recipe, join, atomic = make_recipe("maze2d-umaze-v1", steps=300), recording._join, recording.atomic_path
undisturbed = recording.record(recipe, folder / "undisturbed", chunk=100, progress=False)


def full_for(action):
    return lambda *arguments: (limit(100), action(*arguments))[1]


def chunks():
    return [path.name for path in (folder / "full").rglob("*") if path.suffix in (".npz", ".hdf5")]


recording.atomic_path = full_for(atomic)
refused(lambda: recording.record(recipe, folder / "full", chunk=100, progress=False), "000000.npz")
assert chunks() == []
recording.atomic_path, recording._join = atomic, full_for(join)
refused(lambda: recording.record(recipe, folder / "full", chunk=100, progress=False), "joined.hdf5")
assert sorted(chunks()) == ["000000.npz", "000001.npz", "000002.npz"]
recording._join = join
recording._record_chunks, record = (lambda *_: None), recording._record_chunks  # nothing is recorded again
again = recording.record(recipe, folder / "full", chunk=100, progress=False)
assert again.read_bytes() == undisturbed.read_bytes()
assert files(folder / "full").keys() == {again.name}
print("resumed", again.name)
"""

DOWNLOAD = """
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from sfbc_core.tasks.d4rl.download import download_file

(folder / "server").mkdir()
content = bytes(range(256)) * 1000
(folder / "server" / "data.hdf5").write_bytes(content)
server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder / "server")))
threading.Thread(target=server.serve_forever, daemon=True).start()
url, path = f"http://127.0.0.1:{server.server_port}/data.hdf5", folder / "here" / "data.hdf5"
limit(50_000)
refused(lambda: download_file(url, path), "data.hdf5.part")
assert not path.exists()
assert content.startswith((folder / "here" / "data.hdf5.part").read_bytes())
assert download_file(url, path).read_bytes() == content
assert files(folder / "here").keys() == {"data.hdf5"}
print("resumed", path.name)
"""


def run(script: str, folder: Path) -> str:
    command = [sys.executable, "-c", COMMON + script, str(folder)]
    paths = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=os.environ | {"PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_what_was_there_stays(tmp_path):
    assert run(SAVES, tmp_path).splitlines() == ["kept a.safetensors", "kept b.json", "kept c.jsonl"]


def test_what_was_made_is_returned(tmp_path):
    assert run(CACHE, tmp_path) == "returned 300\n"


def test_a_fit_goes_on_and_ends_with_the_same_bits(walk, tiny_sfbc, tmp_path):
    """Full at each write of the fit in turn: every checkpoint, every finished unit, the candidates, the agent."""
    save_tensors(tmp_path / "data.safetensors", walk.tensors())
    save_json(tmp_path / "config.json", config_to_json(replace(tiny_sfbc, planning_iterations=2)))
    names = run(FIT, tmp_path).split()
    unit = ["partial", "partial", "whole"]
    assert ["partial" if "partial" in name else "whole" for name in names] == [*unit, *unit, "whole", *unit, "whole"]


@pytest.mark.skipif(find_spec("d4rl") is None, reason="d4rl is not installed")
def test_a_recording_goes_on(tmp_path):
    assert run(RECORDING, tmp_path) == "resumed regen-maze2d-umaze-v1.hdf5\n"


@pytest.mark.skipif(find_spec("requests") is None, reason="requests is in the extra sfbc-core[d4rl]")
def test_a_download_goes_on(tmp_path):
    assert run(DOWNLOAD, tmp_path) == "resumed data.hdf5\n"
