"""Write a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_MODE = 0o600


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A stream into a new file, readable by this user only, that takes the place of ``path`` when the block ends.

    If the block raises, nothing is left of it, and ``path`` is as it was; also if the process is killed, where the
    file system knows files without a name (Linux's ext4, xfs, btrfs, tmpfs). Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with _open(partial) as target:
            yield target
            target.flush()
            if not partial.exists():
                _give_name(target, partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _open(partial: Path) -> BinaryIO:
    """A new file: without a name if it can be, since nobody would remove what a killed process left."""
    try:
        descriptor = os.open(partial.parent, os.O_WRONLY | os.O_CLOEXEC | os.O_TMPFILE, _MODE)
    except (OSError, AttributeError):  # not every file system, not every system
        descriptor = os.open(partial, os.O_WRONLY | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, _MODE)
    return os.fdopen(descriptor, "wb")


def _give_name(nameless: BinaryIO, name: Path) -> None:
    # See open(2), O_TMPFILE. The descriptor of the folder, which an absolute path needs not, makes Python follow
    # the link in /proc.
    os.link(f"/proc/self/fd/{nameless.fileno()}", name, src_dir_fd=nameless.fileno(), follow_symlinks=True)
