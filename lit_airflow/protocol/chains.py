"""The chains that conditions name, by the ids that their servers tell (EIP-695).

Source: ``LIT_CHAINS`` of ``@lit-protocol/constants`` 7.4.0.
"""

from __future__ import annotations

import functools
import json
from importlib.resources import files


def chain_id(name: str) -> int | None:
    """Return the id of an EVM chain; ``None`` for a name that the SDK does not have."""
    return _ids().get(name)


@functools.cache
def _ids() -> dict[str, int]:
    found: dict[str, int] = json.loads(
        files("lit_airflow.protocol").joinpath("chain_ids.json").read_text("utf-8")
    )
    return found
