"""Serve a local network for the command line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from lit_airflow.devnet.devnet import GENERATION, Devnet
from lit_airflow.errors import SettingsError

CHIPOTLE = "chipotle"
GENERATIONS = (GENERATION, CHIPOTLE)
"""The generations that ``lit-airflow devnet`` can serve; see ``Devnet`` and ``lit_airflow.devnet.chipotle``."""
NODES, THRESHOLD = 3, 2
"""A Datil network's, unless others are asked for."""


def serve(  # noqa: PLR0913, PLR0917 - the options of the command
    nodes: int | None,
    threshold: int | None,
    host: str,
    port: int,
    generation: str,
    announce: Callable[[dict[str, object]], None],
    stop: threading.Event,
    faults: Sequence[str] = (),
) -> None:
    """Serve a network until an event is set.

    Args:
        nodes: How many nodes; ``None`` for :data:`NODES`.
        threshold: How many shares make a signature; ``None`` for :data:`THRESHOLD`.
        host: Host name or IPv4 address to bind.
        port: The port of the chain; 0 for any free port.
        generation: The generation of the Lit protocol; ``chipotle`` is one service, without nodes and threshold.
        announce: Called once with the network description, when all ports accept connections.
        stop: The event.
        faults: The faults to start with, each as ``NODE=NAME[:SECONDS]``, for Chipotle ``CALL=NAME[:SECONDS]``.

    Raises:
        SettingsError: As ``Devnet``, or nodes or a threshold for Chipotle, or a fault is not valid.
    """
    if generation not in GENERATIONS:
        raise SettingsError(
            f"generation must be one of {', '.join(GENERATIONS)}, got {generation!r}.", field="generation"
        )
    if generation == CHIPOTLE:
        for field, given in (("nodes", nodes), ("threshold", threshold)):
            if given is not None:
                raise SettingsError(f"{CHIPOTLE} is one service: it has no {field}.", field=field)
        from lit_airflow.devnet.chipotle import serve_chipotle  # noqa: PLC0415 - needs Deno

        serve_chipotle(host, port, announce, stop, faults=faults)
        return
    nodes = NODES if nodes is None else nodes
    threshold = THRESHOLD if threshold is None else threshold
    with Devnet(nodes, threshold, host, port, generation) as net:
        for text in faults:
            try:
                net.set_fault(*_parse_fault(text))
            except (IndexError, ValueError) as error:
                raise SettingsError(
                    f"{text!r}: {error}.",
                    field="fault",
                    hint="Write it as 0=silent, 1=slow:2.5 or chain=down.",
                ) from error
        announce(net.description)
        stop.wait()


def _parse_fault(text: str) -> tuple[int | str, str, float | None]:
    node, equals, fault = text.partition("=")
    if not equals:
        raise ValueError("it names no fault")
    name, colon, seconds = fault.partition(":")
    return int(node) if node.isdecimal() else node, name, float(seconds) if colon else None
