"""A full disk, for the process that this is called in: writes fail as on one, only the number of the error is another.

It stays as it is made, so call it in a process of its own.
"""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from refusals import SCREEN


def limit(size: int) -> None:
    """No file may be larger than this from now on."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def refused(action: Callable[[], Any], name: str) -> None:
    """See that the disk is full for the file of this name, that the error says so, and make space again."""
    try:
        action()
    except OSError as error:
        assert type(error) is OSError and error.errno == errno.EFBIG, repr(error)
        assert error.filename.endswith(name), (error.filename, name)
        words = str(error)
        assert "MB needed" in words and "MB free on its disk" in words and len(words) <= SCREEN, error
    else:
        raise AssertionError("it was written")
    finally:
        limit(resource.RLIM_INFINITY)


def files(folder: Path) -> dict[str, bytes]:
    """The contents of all files by name, but for locks; no temporary file may be left."""
    found = sorted(path for path in folder.rglob("*") if path.name != ".lock" and not path.name.endswith(".lock"))
    assert not [path for path in found if path.name.startswith(".")], found
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}
