"""What the opener of a session found out about the nodes, for the tasks that decrypt with it. Rules only, no I/O.

A survey costs a process a question to the chain, a handshake with every node, and the library that reads its
answer. A ticket's sealed part carries the opener's survey, so that a decrypting task can ask the nodes at once
(``docs/adr/0027``). It is used only where the network's key is pinned and nodes need not prove their hardware, and
for a quarter of an hour; nodes that failed the opener's handshake are not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from typing import Any
from urllib.parse import urlsplit

from lit_airflow.clock import iso, parse_iso
from lit_airflow.errors import Failure, FailureKind, NodeError
from lit_airflow.networks.datil.consensus import Epoch, node_url
from lit_airflow.networks.datil.description import CREDITS, DatilDescription
from lit_airflow.networks.datil.survey import Survey
from lit_airflow.networks.datil.wire import MAX_NODES, ListedValidators
from lit_airflow.text import cut, printable
from lit_airflow.transport.addresses import check_private_transport, check_public

GOOD_FOR = timedelta(minutes=15)
_SKEW = timedelta(minutes=1)


def written(survey: Survey, now: datetime) -> dict[str, Any]:
    """Return a survey as JSON: when it was made, what was listed, and which nodes failed the handshake."""
    epoch = survey.listed.epoch
    return {
        "at": iso(now),
        "nodes": list(survey.listed.nodes),
        "threshold": survey.listed.threshold,
        "epoch": [epoch.length_s, epoch.number, epoch.end_time],
        "public_key": survey.public_key,
        "absent": {node: [failure.kind.value, failure.message] for node, failure in survey.absent.items()},
    }


def usable(
    found: Mapping[str, Any] | None, description: DatilDescription, now: datetime
) -> tuple[Survey, float] | None:
    """Return the survey that :func:`written` wrote, and for how many seconds it is good; ``None`` if it is not.

    Args:
        found: What a session carries; ``None`` for nothing.
        description: The network as this process knows it. Its pinned key must be the one that the nodes named.
        now: The time.
    """
    if found is None or not description.network_public_key or description.attestation:
        return None
    try:
        survey = _read(found, description, now)
        age = now - parse_iso(found["at"])
        for node in survey.nodes:
            if description.public:
                check_public(node)
            elif not description.plain_http:
                check_private_transport(node)
    except (NodeError, KeyError, TypeError, ValueError, OverflowError):
        return None
    if survey.public_key != description.network_public_key or not -_SKEW <= age < GOOD_FOR:
        return None
    return survey, (GOOD_FOR - age).total_seconds()


def _read(found: Mapping[str, Any], description: DatilDescription, now: datetime) -> Survey:
    nodes, threshold, epoch = tuple(found["nodes"]), found["threshold"], found["epoch"]
    if not all(type(number) is int and number >= 0 for number in (*epoch, threshold)):
        raise ValueError("not whole numbers")
    if not all(isinstance(node, str) for node in nodes):
        raise TypeError("not texts")
    if not 1 <= threshold <= len(set(nodes)) == len(nodes) <= MAX_NODES:
        raise ValueError("not a committee")
    if description.rpc_url:
        if not all(_is_listed(node, description.default_scheme) for node in nodes):
            raise ValueError("not the nodes of a chain")
    elif (nodes, threshold) != (description.nodes, description.threshold):
        raise ValueError("not the nodes of the description")
    listed = ListedValidators(Epoch(*epoch), threshold, nodes)
    absent = {
        node: Failure(FailureKind(kind), f"{printable(cut(message))} when the session was opened")
        for node, (kind, message) in dict(found["absent"]).items()
    }
    return Survey(
        nodes=nodes,
        threshold=threshold,
        epoch=listed.epoch.current(now.timestamp()),
        public_key=found["public_key"],
        nonce="",
        absent=absent,
        credit_contract=description.contracts.get(CREDITS, ""),
        public=description.public,
        listed=listed,
    )


def _is_listed(node: str, default_scheme: str) -> bool:
    """Return whether a URL is one that a chain's list can contain: an IPv4 address and a port, nothing else."""
    parts = urlsplit(node)
    return node == node_url(int(IPv4Address(parts.hostname)), parts.port or 0, default_scheme=default_scheme)
