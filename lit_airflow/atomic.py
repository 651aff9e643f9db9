"""Write a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A stream into a new file, readable by this user only, that takes the place of ``path`` when the block ends.

    If the block raises, nothing is left of it, and ``path`` is as it was. Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
