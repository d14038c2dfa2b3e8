"""The README's code runs as it stands there, and its tree of files is that of the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from sfbc_core import CriticConfig, DiffusionConfig

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


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


def test_the_table_of_chapters_has_their_titles():
    rows = re.findall(r"^\| (\d+) (.*?) \|", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titles = {}
    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        titles[int(path.name[:2])] = re.search(r"^# (.*)$", first, flags=re.MULTILINE)[1]
    assert {int(number): title for number, title in rows} == titles


# ---- the tree of files ----------------------------------------------------------------------------------------------


def listed() -> list[str]:
    """The paths in the README's tree, folders with a slash at their end. A line's indentation says in which folder it is."""
    (block,) = re.findall(r"```text\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    paths: list[str] = []
    folders: list[str] = []  # around the present line, from the outermost in
    for line in block.splitlines():
        name, _ = line.split(maxsplit=1)  # every line says what the file is
        depth = (len(line) - len(line.lstrip())) // 2
        assert depth <= len(folders), f"{name} is indented farther than its folder"
        folders = folders[:depth]
        paths.append("".join(folders) + name)
        if name.endswith("/"):
            folders.append(name)
    return paths


def on_disk(folder: str) -> set[str]:
    """The files and folders in a folder, at any depth. An `__init__.py` needs no line: its folder has one."""
    found = set()
    for path in (ROOT / folder).rglob("*"):
        name = path.relative_to(ROOT).as_posix()
        if path.name != "__init__.py" and "__pycache__" not in name and not path.name.startswith("."):
            found.add(name + "/" * path.is_dir())
    return found


def test_each_file_stands_in_the_tree_once():
    paths = listed()
    assert len(paths) == len(set(paths))


def test_the_tree_has_every_file_of_the_library_and_no_other():
    assert {path for path in listed() if path.startswith("sfbc_core/")} == on_disk("sfbc_core") | {"sfbc_core/"}


def test_the_tree_has_every_script_of_the_book_and_every_folder_of_tests():
    paths = listed()
    scripts = {f"book/{path.name}" for path in (ROOT / "book").glob("*.py")}
    assert {path for path in paths if path.startswith("book/") and path.endswith(".py")} == scripts
    folders = {f"tests/{path.parent.name}/" for path in (ROOT / "tests").glob("*/*.py")}
    assert {path for path in paths if re.fullmatch("tests/.+", path)} == folders


def test_whatever_else_the_tree_names_is_there():
    assert [path for path in listed() if not (ROOT / path).exists()] == []


def test_trials_that_are_shown_exist():
    from sfbc_core.experiments.suites import trial_of

    shown = {
        word
        for file in ("README.md", "CONTRIBUTING.md")
        for word in re.findall(r"experiments show (\w+)", (ROOT / file).read_text())
    }
    assert shown
    for identity in shown:
        trial_of(identity)
