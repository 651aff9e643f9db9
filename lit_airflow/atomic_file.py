"""Write a file completely or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_MODE = 0o600
_DESCRIPTORS = Path("/proc/self/fd")


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a stream into a new file that replaces ``path`` when the block ends. Missing folders are created.

    The file is readable by its owner only. If the block raises, the new file is removed and ``path`` is unchanged.
    If the process is killed, nothing remains either, provided that the file system has files without a name (on
    Linux: ext4, xfs, btrfs, tmpfs).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(
        f".{secrets.token_hex(16)}"
    )  # not made of the name, which may be as long as names can be
    try:
        with _open(partial) as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
            if not partial.exists():
                _link(target, partial)
        partial.replace(path)
        _sync(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    """Write a folder's entries to disk: else a crash may undo the renaming."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(partial: Path) -> BinaryIO:
    """Open a new file, without a name if possible: nothing would remove the file of a killed process."""
    try:
        # Without that folder, a file without a name cannot be given one.
        nameless = os.O_TMPFILE if _DESCRIPTORS.is_dir() else os.O_EXCL | os.O_CREAT
        place = partial.parent if _DESCRIPTORS.is_dir() else partial
        descriptor = os.open(place, os.O_WRONLY | os.O_CLOEXEC | nameless, _MODE)
    except (OSError, AttributeError):  # not supported by every file system and operating system
        descriptor = os.open(partial, os.O_WRONLY | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, _MODE)
    return os.fdopen(descriptor, "wb")


def _link(nameless: BinaryIO, name: Path) -> None:
    """Give a file without a name its name; see open(2), O_TMPFILE."""
    # The path is absolute and needs no src_dir_fd; passing one makes Python follow the link in /proc.
    os.link(_DESCRIPTORS / str(nameless.fileno()), name, src_dir_fd=nameless.fileno(), follow_symlinks=True)
