"""What all requests for a signature share have in common: a JSON object, and the epoch of the key share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json, shape_error


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A request that passed every check.

    Attributes:
        text: The text to sign.
        epoch: The epoch of the key share to sign it with; 0 for the current one.
    """

    text: str
    epoch: int


def parse_body(body: object, shape: Json) -> tuple[Json, int]:
    """Check the shape of a request body.

    Args:
        body: The parsed JSON.
        shape: The fields that the endpoint expects, beside the optional ``epoch``.

    Returns:
        The body and its epoch, 0 if it names none.

    Raises:
        NodeError: ``NodeBadInput``.

    Source: docs/protocol/requests.md.
    """
    if error := shape_error(body, {**shape, "epoch?": int}):
        raise NodeError("NodeBadInput", error)
    request = cast("Json", body)
    epoch = cast("int | None", request.get("epoch")) or 0
    if epoch < 0:
        raise NodeError("NodeBadInput", ".epoch: negative")
    return request, epoch
