"""The switchboard's HTTP face: see the network's state, and change it from outside the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, cast

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lit_airflow.devnet.reading import Json, misfit, parse_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from lit_airflow.devnet.evaluation import Ledger

_NUMBER = (int, float)
_FAULT: Json = {"fault?": str, "seconds?": _NUMBER}
_EPOCH: Json = {"advance?": int}
_CLOCK: Json = {"offset_s": _NUMBER}
_MOST_EPOCHS = 1000


class Switches(Protocol):
    """What can be switched; every method raises ``ValueError`` for what does not exist."""

    def snapshot(self) -> Json:
        """The state, as JSON."""

    async def set_fault(self, node: int, name: str | None, seconds: float | None = None) -> None:
        """Give a node a fault, or none."""

    def advance_epoch(self, by: int = 1) -> int:
        """Reshare; the new epoch's number."""

    def set_clock_offset(self, seconds: float) -> None:
        """Move the nodes' clock against the real one."""

    def set_ledger(self, entries: Ledger) -> None:
        """Add to what the chains say."""


def control_app(switches: Switches) -> Starlette:
    """The ASGI application: ``GET /``, ``POST /nodes/{i}``, ``/epoch``, ``/clock``, ``/state``."""

    async def node(request: Request, body: Json) -> None:
        index = request.path_params["index"]
        seconds = cast("float | None", body.get("seconds"))
        await switches.set_fault(index, cast("str | None", body.get("fault")), seconds)

    async def epoch(_request: Request, body: Json) -> None:
        advance = cast("int", body.get("advance", 1))
        if not 1 <= advance <= _MOST_EPOCHS:
            raise ValueError(f"advance is from 1 to {_MOST_EPOCHS}")
        switches.advance_epoch(advance)

    async def clock(_request: Request, body: Json) -> None:
        switches.set_clock_offset(cast("float", body["offset_s"]))

    async def state(_request: Request, body: Json) -> None:
        switches.set_ledger(body)

    async def show(_request: Request) -> Response:
        return JSONResponse(switches.snapshot())

    async def failed(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        return JSONResponse({"error": f"{request.method} {request.url.path}: {error}"}, status_code=status)

    return Starlette(
        routes=[
            Route("/", show, methods=["GET"]),
            Route("/nodes/{index:int}", _change(switches, _FAULT, node), methods=["POST"]),
            Route("/epoch", _change(switches, _EPOCH, epoch), methods=["POST"]),
            Route("/clock", _change(switches, _CLOCK, clock), methods=["POST"]),
            Route("/state", _change(switches, {}, state), methods=["POST"]),
        ],
        exception_handlers={404: failed, 405: failed},
    )


def _change(
    switches: Switches, shape: Json, change: Callable[[Request, Json], Awaitable[None]]
) -> Callable[[Request], Awaitable[Response]]:
    """Read a body of ``shape``, make the change, show the state; what is wrong is a 400 that says so."""

    async def serve(request: Request) -> Response:
        try:
            await change(request, _read(await request.body(), shape))
        except IndexError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse(switches.snapshot())

    return serve


def _read(raw: bytes, shape: Json) -> Json:
    """An object of this shape and, unless the shape is open, of these keys only; nothing at all is ``{}``."""
    body = parse_json(raw or b"{}")
    if wrong := misfit(body, shape):
        raise ValueError(wrong)
    found = cast("Json", body)
    strange = set(found) - {key.removesuffix("?") for key in shape}
    if shape and strange:
        raise ValueError(f"unknown: {', '.join(sorted(strange))}")
    return found
