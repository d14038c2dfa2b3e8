"""The README's code runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sfbc_core import CriticConfig, DiffusionConfig

README = Path(__file__).parents[1] / "README.md"


def test_the_lines_for_your_own_data_run(tmp_path, monkeypatch, walk, tiny_sfbc):
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) <= 12
    monkeypatch.chdir(tmp_path)
    np.savez("my_log.npz", **{name: tensor.double().numpy() for name, tensor in walk.tensors().items()})
    # The same lines with a budget of seconds.
    monkeypatch.setattr(DiffusionConfig, "small", lambda: tiny_sfbc.behavior)
    monkeypatch.setattr(CriticConfig, "small", lambda: tiny_sfbc.critic)
    names: dict = {}
    exec(block, names)
    assert names["actions"].shape == (5, 2)
    assert (tmp_path / "my_agent" / "agent.safetensors").is_file()
