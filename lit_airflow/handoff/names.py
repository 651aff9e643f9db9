"""The names under which sessions are published."""

from __future__ import annotations

import re

from lit_airflow.errors import SettingsError
from lit_airflow.text import quoted

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def checked_name(name: str, cannot: str = "A session cannot be published as") -> str:
    """Return a name if a session may be published under it.

    Args:
        name: The name.
        cannot: How the error's message begins.

    Raises:
        SettingsError: It may not: a name is one segment of a path in Vault, and must not lead out of its folder.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{cannot} {quoted(name)}.",
            field="name",
            hint="Use up to 100 letters, digits, '_', '.' and '-', beginning with a letter or a digit.",
        )
    return name
