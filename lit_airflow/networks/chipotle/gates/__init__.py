"""Gates: templates of Lit Actions that enforce sessions and conditions, and what a deployment makes of one.

A gate's text names its key: one byte more or less is another gate. So a template that was shipped is never
edited and never removed, its SHA-256 is pinned here, and a correction is a new version. A deployment appends a
line of its own (the salt) and keeps it secret: without it nobody can compute the gate's CID.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from lit_airflow.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Template:
    """A published text.

    Attributes:
        version: Its number; the file is ``<version>.js``.
        sha256: Hex SHA-256 of its bytes.
        withdrawn: Whether it was found broken: it still decrypts, and nothing new is sealed to it.
    """

    version: int
    sha256: str
    withdrawn: bool = False

    def text(self) -> str:
        """Return the text, after comparing its hash.

        Raises:
            SettingsError: The installed file is not the published one.
        """
        return _published(self)


@functools.lru_cache(maxsize=8)
def _published(template: Template) -> str:
    """Read a text once per process: every decryption needs it."""
    content = files(__name__).joinpath(f"{template.version}.js").read_bytes()
    if sha256(content).hexdigest() != template.sha256:
        raise SettingsError(
            f"The installed text of gate {template.version} is not the published one.",
            field="gate version",
            hint="Install the package again; something changed its files.",
        )
    return content.decode("ascii")


TEMPLATES = {
    template.version: template
    for template in (Template(1, "68bd00c1d77fd5fcdac96eec01e3902ee7561d19200ccc69d703970f44bad9e3"),)
}
NEWEST = max(version for version, template in TEMPLATES.items() if not template.withdrawn)


def deployment_text(version: int, salt: str) -> str:
    """Return the text of a deployment's gate: the template, then the salt as a comment line.

    Args:
        version: The template's version.
        salt: 32 random bytes in hex, drawn once per deployment and kept secret.

    Raises:
        SettingsError: There is no such version, or the salt is not 64 lower-case hex digits.
    """
    if version not in TEMPLATES:
        raise SettingsError(
            f"There is no gate of version {version!r}.",
            field="gate version",
            hint=f"Known: {', '.join(map(str, TEMPLATES))}. A newer version needs a newer lit-airflow.",
        )
    if not re.fullmatch("[0-9a-f]{64}", salt):
        raise SettingsError(
            "The salt of a gate is not 64 lower-case hex digits.",
            field="salt",
            hint="Read it anew from Vault, where setup stored it.",
        )
    return f"{TEMPLATES[version].text()}// {salt}\n"
