"""The switchboard's HTTP face: see the network's state, and change it from outside the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, cast

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lit_airflow.devnet.parsing import Json, misfit, parse_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from lit_airflow.devnet.evaluation import Ledger

_NUMBER = (int, float)
_FAULT: Json = {"fault?": str, "seconds?": _NUMBER}
_MOST_EPOCHS = 1000
_CREDIT_LASTS_S = 30 * 86400.0


class Switches(Protocol):
    """What can be switched; every method raises ``ValueError`` for what does not exist."""

    def snapshot(self) -> Json:
        """The state, as JSON."""

    async def set_fault(self, node: int, name: str | None, seconds: float | None = None) -> None:
        """Give a node a fault, or none."""

    async def set_chain_fault(self, name: str | None, seconds: float | None = None) -> None:
        """Give the chain a fault, or none."""

    async def add_node(self) -> int:
        """Let a node join; its number."""

    async def remove_node(self, node: int) -> None:
        """Let a node leave."""

    def advance_epoch(self, by: int = 1) -> int:
        """Reshare; the new epoch's number."""

    def set_epoch_start(self, ago_s: float) -> None:
        """Say when the epoch began."""

    def set_clock_offset(self, seconds: float) -> None:
        """Move the nodes' clock against the real one."""

    def set_ledger(self, entries: Ledger) -> None:
        """Add to what the chains say."""

    def mint_pkp(self, owner: str) -> dict[str, str]:
        """Make a PKP that a wallet may use."""

    def mint_credit(self, owner: str, lasts_s: float) -> str:
        """Give a wallet a capacity credit."""

    def pay_for(self, payer: str, user: str) -> None:
        """Put a user on a payer's account."""


def _advance(switches: Switches, body: Json) -> None:
    by = cast("int", body.get("advance", 1))
    if not 1 <= by <= _MOST_EPOCHS:
        raise ValueError(f"advance is from 1 to {_MOST_EPOCHS}")
    switches.advance_epoch(by)


def _mint_credit(switches: Switches, body: Json) -> None:
    lasts_s = cast("float | None", body.get("lasts_s"))
    switches.mint_credit(cast("str", body["owner"]), _CREDIT_LASTS_S if lasts_s is None else lasts_s)


def _fault(body: Json) -> tuple[str | None, float | None]:
    return cast("str | None", body.get("fault")), cast("float | None", body.get("seconds"))


# Path -> the body's shape (``None``: any object), and what is done with it.
_CHANGES: dict[str, tuple[Json | None, Callable[[Switches, Json], object]]] = {
    "/epoch": ({"advance?": int}, _advance),
    "/epoch/start": (
        {"ago_s": _NUMBER},
        lambda switches, body: switches.set_epoch_start(cast("float", body["ago_s"])),
    ),
    "/clock": (
        {"offset_s": _NUMBER},
        lambda switches, body: switches.set_clock_offset(cast("float", body["offset_s"])),
    ),
    "/state": (None, lambda switches, body: switches.set_ledger(body)),
    "/pkps": ({"owner": str}, lambda switches, body: switches.mint_pkp(cast("str", body["owner"]))),
    "/credits": ({"owner": str, "lasts_s?": _NUMBER}, _mint_credit),
    "/payers": (
        {"payer": str, "user": str},
        lambda switches, body: switches.pay_for(cast("str", body["payer"]), cast("str", body["user"])),
    ),
}


def control_app(switches: Switches) -> Starlette:
    """The ASGI application.

    ``GET /``; ``POST /nodes`` for one more, ``POST`` and ``DELETE`` to ``/nodes/{i}``; ``POST`` to ``/chain``
    and to the paths of ``_CHANGES``. Every answer is the state after it: of one node or the chain where only that
    was changed, else of all; a node that has joined is the last of ``nodes``.
    """

    async def node(request: Request, body: Json) -> object:
        index = request.path_params["index"]
        await switches.set_fault(index, *_fault(body))
        nodes = cast("list[Json]", switches.snapshot()["nodes"])
        return next(each for each in nodes if each["index"] == index)

    async def chain(_request: Request, body: Json) -> object:
        await switches.set_chain_fault(*_fault(body))
        return switches.snapshot()["chain"]

    async def join(_request: Request, _body: Json) -> None:
        await switches.add_node()

    async def leave(request: Request, _body: Json) -> None:
        await switches.remove_node(request.path_params["index"])

    def at_once(change: Callable[[Switches, Json], object]) -> Callable[[Request, Json], Awaitable[None]]:
        async def changed(_request: Request, body: Json) -> None:
            change(switches, body)

        return changed

    async def show(_request: Request) -> Response:
        return JSONResponse(switches.snapshot())

    async def failed(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        return JSONResponse({"error": f"{request.method} {request.url.path}: {error}"}, status_code=status)

    return Starlette(
        routes=[
            Route("/", show, methods=["GET"]),
            Route("/nodes", _change(switches, {}, join), methods=["POST"]),
            Route("/nodes/{index:int}", _change(switches, _FAULT, node), methods=["POST"]),
            Route("/nodes/{index:int}", _change(switches, {}, leave), methods=["DELETE"]),
            Route("/chain", _change(switches, _FAULT, chain), methods=["POST"]),
            *(
                Route(path, _change(switches, shape, at_once(change)), methods=["POST"])
                for path, (shape, change) in _CHANGES.items()
            ),
        ],
        exception_handlers={404: failed, 405: failed},
    )


def _change(
    switches: Switches, shape: Json | None, change: Callable[[Request, Json], Awaitable[object]]
) -> Callable[[Request], Awaitable[Response]]:
    """Read a body of ``shape``, make the change, show what it returns, or else the whole state.

    What is wrong is a 400 that says so.
    """

    async def serve(request: Request) -> Response:
        try:
            changed = await change(request, _read(await request.body(), shape))
        except IndexError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse(switches.snapshot() if changed is None else changed)

    return serve


def _read(raw: bytes, shape: Json | None) -> Json:
    """An object of this shape and, where there is one, of these keys only; nothing at all is ``{}``."""
    body = parse_json(raw or b"{}")
    if wrong := misfit(body, shape or {}):
        raise ValueError(wrong)
    found = cast("Json", body)
    if shape is not None and (strange := set(found) - {key.removesuffix("?") for key in shape}):
        raise ValueError(f"unknown: {', '.join(sorted(strange))}")
    return found
