"""The control API: show the state of the network and change it over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, cast

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lit_airflow.devnet.asgi import read_body
from lit_airflow.devnet.capacity import CREDIT_LIFETIME_S
from lit_airflow.devnet.parsing import Json, parse_json, shape_error

if TYPE_CHECKING:
    from starlette.requests import Request

    from lit_airflow.devnet.evaluation import ChainState

_NUMBER = (int, float)
_FAULT: Json = {"fault?": str, "seconds?": _NUMBER}
_MAX_EPOCHS = 1000


class ControlledNetwork(Protocol):
    """What the control API can do to a network; see ``LocalNetwork``.

    Every method raises ``ValueError`` for a value that is not valid, and ``IndexError`` if there is no such node.
    """

    def snapshot(self) -> Json:
        """Return the state as JSON."""

    async def set_fault(self, node: int, name: str | None, seconds: float | None = None) -> None:
        """Replace the fault of a node."""

    async def set_chain_fault(self, name: str | None, seconds: float | None = None) -> None:
        """Replace the fault of the chain."""

    async def add_node(self) -> int:
        """Let a node join."""

    async def remove_node(self, node: int) -> None:
        """Let a node leave."""

    def advance_epoch(self, by: int = 1) -> int:
        """Start new epochs."""

    def set_epoch_start(self, ago_s: float) -> None:
        """Set when the present epoch began."""

    def set_clock_offset(self, seconds: float) -> None:
        """Set how far the nodes' clocks are ahead."""

    def add_chain_state(self, entries: ChainState) -> None:
        """Add to the answers of the chains."""

    def mint_pkp(self, owner: str) -> dict[str, str]:
        """Create a PKP for a wallet."""

    def mint_credit(self, owner: str, lasts_s: float) -> str:
        """Create a capacity credit for a wallet."""

    def pay_for(self, payer: str, user: str) -> None:
        """Let one wallet pay for another."""


def _advance_epoch(network: ControlledNetwork, body: Json) -> None:
    by = cast("int", body.get("advance", 1))
    if not 1 <= by <= _MAX_EPOCHS:
        raise ValueError(f"advance must be from 1 to {_MAX_EPOCHS}, got {by}")
    network.advance_epoch(by)


def _mint_credit(network: ControlledNetwork, body: Json) -> None:
    lasts_s = cast("float | None", body.get("lasts_s"))
    network.mint_credit(cast("str", body["owner"]), CREDIT_LIFETIME_S if lasts_s is None else lasts_s)


def _fault(body: Json) -> tuple[str | None, float | None]:
    return cast("str | None", body.get("fault")), cast("float | None", body.get("seconds"))


# Path -> the shape of the body (``None``: any object) and the change.
_CHANGES: dict[str, tuple[Json | None, Callable[[ControlledNetwork, Json], object]]] = {
    "/epoch": ({"advance?": int}, _advance_epoch),
    "/epoch/start": (
        {"ago_s": _NUMBER},
        lambda network, body: network.set_epoch_start(cast("float", body["ago_s"])),
    ),
    "/clock": (
        {"offset_s": _NUMBER},
        lambda network, body: network.set_clock_offset(cast("float", body["offset_s"])),
    ),
    "/state": (None, lambda network, body: network.add_chain_state(body)),
    "/pkps": ({"owner": str}, lambda network, body: network.mint_pkp(cast("str", body["owner"]))),
    "/credits": ({"owner": str, "lasts_s?": _NUMBER}, _mint_credit),
    "/payers": (
        {"payer": str, "user": str},
        lambda network, body: network.pay_for(cast("str", body["payer"]), cast("str", body["user"])),
    ),
}


def control_app(network: ControlledNetwork) -> Starlette:
    """Return the ASGI application of the control API.

    ``GET /`` shows the state. ``POST /nodes`` adds a node, ``POST /nodes/{i}`` sets its fault, and
    ``DELETE /nodes/{i}`` removes it. ``POST /chain`` sets the chain's fault. ``POST`` to a path of ``_CHANGES``
    makes that change. Every response shows the state afterwards: of the node or the chain whose fault was set,
    otherwise of the whole network. A node that joined is the last of ``nodes``.
    """

    async def set_fault(request: Request, body: Json) -> object:
        index = request.path_params["index"]
        await network.set_fault(index, *_fault(body))
        nodes = cast("list[Json]", network.snapshot()["nodes"])
        return next(node for node in nodes if node["index"] == index)

    async def set_chain_fault(_request: Request, body: Json) -> object:
        await network.set_chain_fault(*_fault(body))
        return network.snapshot()["chain"]

    async def add_node(_request: Request, _body: Json) -> None:
        await network.add_node()

    async def remove_node(request: Request, _body: Json) -> None:
        await network.remove_node(request.path_params["index"])

    def make(
        change: Callable[[ControlledNetwork, Json], object],
    ) -> Callable[[Request, Json], Awaitable[None]]:
        async def changed(_request: Request, body: Json) -> None:
            change(network, body)

        return changed

    async def show(_request: Request) -> Response:
        return JSONResponse(network.snapshot())

    return Starlette(
        routes=[
            Route("/", show, methods=["GET"]),
            Route("/nodes", _endpoint(network, {}, add_node), methods=["POST"]),
            Route("/nodes/{index:int}", _endpoint(network, _FAULT, set_fault), methods=["POST"]),
            Route("/nodes/{index:int}", _endpoint(network, {}, remove_node), methods=["DELETE"]),
            Route("/chain", _endpoint(network, _FAULT, set_chain_fault), methods=["POST"]),
            *(
                Route(path, _endpoint(network, shape, make(change)), methods=["POST"])
                for path, (shape, change) in _CHANGES.items()
            ),
        ],
        exception_handlers={404: _http_error, 405: _http_error},
    )


async def _http_error(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    return JSONResponse({"error": f"{request.method} {request.url.path}: {error}"}, status_code=status)


def _endpoint(
    network: ControlledNetwork, shape: Json | None, change: Callable[[Request, Json], Awaitable[object]]
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that parses a body, makes a change and shows the state.

    Args:
        network: The network.
        shape: The shape of the body; ``None`` for any object.
        change: Makes the change and returns what to show; ``None`` for the whole state.
    """

    async def serve(request: Request) -> Response:
        try:
            shown = await change(request, _parse_body(await read_body(request), shape))
        except IndexError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse(network.snapshot() if shown is None else shown)

    return serve


def _parse_body(raw: bytes, shape: Json | None) -> Json:
    """Parse an object of this shape, without any other key; an empty body is ``{}``."""
    content = parse_json(raw or b"{}")
    if error := shape_error(content, shape or {}):
        raise ValueError(error)
    body = cast("Json", content)
    known = None if shape is None else {key.removesuffix("?") for key in shape}
    if known is not None and (unknown := sorted(body.keys() - known)):
        raise ValueError(f"unknown: {', '.join(unknown)}")
    return body
