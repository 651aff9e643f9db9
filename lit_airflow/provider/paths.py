"""Paths as DAG authors write them: text, ``pathlib.Path``, Airflow's ``ObjectStoragePath``.

Light enough for DAG files to import; :mod:`lit_airflow.provider.files` opens what these name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import PurePath
from typing import Any

from lit_airflow.errors import SettingsError
from lit_airflow.text import path_shown

FilePath = str | os.PathLike[str]
"""A local path, an object-storage URL, ``pathlib.Path`` or ``ObjectStoragePath``."""

_OBJECT_TYPES = {"ObjectStoragePath", "UPath"}
_COLLAPSED_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")


def is_path(given: object) -> bool:
    """Return whether this is a path and no text: ``pathlib.Path``, ``os.DirEntry``, ``ObjectStoragePath``."""
    return isinstance(given, os.PathLike) or _is_object(given)


def path_text(path: object) -> str:
    """Return a path as text, with the connection id of an ``ObjectStoragePath``.

    Raises:
        SettingsError: It is not a path, or a URL that ``pathlib.Path`` has changed.
    """
    if _is_object(path):
        return str(path)  # it names its connection, which os.fspath() would lose
    if isinstance(path, os.PathLike):
        text = os.fsdecode(path)
        if found := _COLLAPSED_URL.match(text):
            raise SettingsError(
                f"pathlib.Path has removed a slash from a URL: {path_shown(text)}.",
                field="path",
                hint=f"Give the URL as text, {found[1]}://…, or as ObjectStoragePath.",
            )
        return text
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(path, str):
        raise SettingsError(
            f"Expected a path, and got {type(path).__name__}.",
            field="path",
            hint="Check that the task whose output this is succeeded in this run." if path is None else "",
        )
    if not path:
        raise SettingsError("Expected a path, and got an empty text.", field="path")
    if path.lstrip().startswith(("{", "[{", "['", '["')):
        raise SettingsError(
            "Expected a path, and got an object or a list as text, as a template renders it.",
            field="path",
            hint="Pass task.output, or set render_template_as_native_obj=True in the DAG.",
        )
    return path


def checked_paths(given: Any) -> Any:  # noqa: ANN401 - whatever an operator's argument may be
    """Check the paths in an operator's argument when the DAG is read.

    Returns:
        The same object. Only paths that XCom cannot bring become text, such as ``os.DirEntry``, which Airflow could
        not copy.

    Raises:
        SettingsError: As :func:`path_text`.
    """
    if type(given) in (list, tuple):
        found = [checked_paths(each) for each in given]
        unchanged = all(new is old for new, old in zip(found, given, strict=True))
        return given if unchanged else type(given)(found)
    if not is_path(given) and not isinstance(given, bytes):
        return given
    text = path_text(given)
    return given if isinstance(given, PurePath) or _is_object(given) else text


def as_template(given: Any, not_rendered: Collection[int] | None) -> Any:  # noqa: ANN401 - the same
    """Return a path as text, for Jinja to render; anything else unchanged.

    Airflow 3.1 takes the ``resolve`` of a ``pathlib.Path`` for its own, and fails where the file does not exist.

    Args:
        given: A value that Airflow is about to render.
        not_rendered: The ids of objects that Airflow does not render, because they come from XCom. Such a path
            remains that object: its text may be a file name that a stranger chose, and must not become a template.
    """
    return path_text(given) if is_path(given) and id(given) not in (not_rendered or ()) else given


def _is_object(path: object) -> bool:
    # By name, so that no Airflow is needed; in some of its releases the class is not an os.PathLike.
    return not _OBJECT_TYPES.isdisjoint(each.__name__ for each in type(path).__mro__)
