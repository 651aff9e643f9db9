"""What ``urllib3`` logs of this package's requests: nothing, since it logs URLs, and those may contain keys.

Providers of a chain's RPC put the customer's key into the path or the query. ``urllib3`` names both in a DEBUG line
per request, and in warnings about malformed headers. Other users of ``urllib3`` in the process are not affected.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ours: ContextVar[bool] = ContextVar("lit_airflow_request", default=False)


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep ``urllib3`` from logging what this thread sends in the block."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


def _not_ours(_: logging.LogRecord) -> bool:
    return not _ours.get()


# A logger's filters do not apply to the loggers below it.
for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_not_ours)
