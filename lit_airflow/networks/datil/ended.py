"""What to say where a public network of this generation cannot be reached.

Source: docs/networks.md, what is known of their end, with dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lit_airflow.errors import ChainUnavailableError, NodesUnavailableError
from lit_airflow.networks.datil.description import DatilDescription

_ENDED = (
    "The public Datil networks were announced to end in spring 2026 and are probably switched off. Use the network "
    "chipotle, or a network of your own; see docs/networks.md."
)


@contextmanager
def explained(description: DatilDescription) -> Iterator[None]:
    """Add to an error that says that the network cannot be reached what is known of its end.

    Args:
        description: The network. Those that are described, and not known by name, may well be alive.
    """
    try:
        yield
    except (ChainUnavailableError, NodesUnavailableError) as error:
        if description.public and _ENDED not in error.hint:
            error.hint = f"{_ENDED} {error.hint}".rstrip()
        raise
