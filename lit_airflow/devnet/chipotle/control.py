"""The control server: inspect the local Chipotle and switch faults, clock, chain and rules over HTTP.

======  ===========  =====================================================================================
method  path         does
======  ===========  =====================================================================================
GET     /            the state
GET     /requests    all requests, with the hash of the key
GET     /bills       all charges
POST    /faults      ``{fault, call?, seconds?, times?}``; ``fault: null`` removes it
DELETE  /faults      removes all faults
POST    /clock       ``{offset_s}``: moves the service's clock
POST    /chain       ``{delay_s?, down?, settle?}``: when servers see changes; ``settle`` shows all now
POST    /rules       ``{NAME: bool, …}``: contract rules and ``compares_derivation``
POST    /cache       ``{lifetime_s}``: how long server processes cache permissions
POST    /credit      ``{cents, account?}``
POST    /billing     ``{down}``: whether the payment back end is unreachable
POST    /payments    ``{payment_intent_id}``: completes a payment
POST    /root        derives the enclave's keys from a new root
======  ===========  =====================================================================================

POST and DELETE return the new state. A bad request is answered with 400 and the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol, cast

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lit_airflow.devnet.chipotle.faults import EVERY_CALL
from lit_airflow.devnet.chipotle.shapes import FLAG, OPTIONAL_TEXT, REQUIRED, TEXT, Field, Shape, fitted
from lit_airflow.devnet.strict_json import parse

if TYPE_CHECKING:
    from starlette.requests import Request

    from lit_airflow.devnet.chipotle.state import State

Json = Mapping[str, object]


class Switches(Protocol):
    """What the control server changes. Methods raise ``ValueError`` for bad arguments."""

    state: State

    def snapshot(self) -> dict[str, object]:
        """The state, as JSON."""

    def requests(self) -> list[dict[str, object]]:
        """All requests."""

    def bills(self) -> list[dict[str, object]]:
        """All charges."""

    async def set_fault(
        self, name: str | None, call: str, seconds: float | None = None, times: int | None = None
    ) -> None:
        """Put a fault in force, or remove it."""

    async def clear_faults(self) -> None:
        """Remove all faults."""

    def set_clock_offset(self, seconds: float) -> None:
        """Move the service's clock."""

    def set_chain_delay(self, seconds: float) -> None:
        """Set the chain's delay."""

    def set_rule(self, name: str, *, holds: bool) -> None:
        """Change a rule."""

    def set_cache_lifetime(self, seconds: float) -> None:
        """Set the lifetime of the permission caches."""

    def set_credit(self, cents: int, account: str | None = None) -> None:
        """Set an account's credit."""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_NUMBER, _COUNT = Field(_is_number, REQUIRED), Field(_is_count, REQUIRED)
_OPTIONAL_NUMBER = Field(lambda value: value is None or _is_number(value), None)
_OPTIONAL_COUNT = Field(lambda value: value is None or _is_count(value), None)
_OPTIONAL_FLAG = Field(lambda value: value is None or isinstance(value, bool), None)


def _change_chain(switches: Switches, body: Json) -> None:
    if body["delay_s"] is not None:
        switches.set_chain_delay(cast("float", body["delay_s"]))
    if body["down"] is not None:
        switches.state.chain_down = body["down"] is True
    if body["settle"]:
        switches.state.chain.settle()


def _change_billing(switches: Switches, body: Json) -> None:
    switches.state.ledger.down = body["down"] is True


def _pay(switches: Switches, body: Json) -> None:
    payment_id = cast("str", body["payment_intent_id"])
    try:
        switches.state.ledger.mark_paid(payment_id)
    except KeyError as error:
        raise ValueError(f"there is no payment {payment_id!r}") from error


# Path -> the body's shape, and what is done with it.
_CHANGES: dict[str, tuple[Shape, Callable[[Switches, Json], object]]] = {
    "/clock": (
        {"offset_s": _NUMBER},
        lambda switches, body: switches.set_clock_offset(cast("float", body["offset_s"])),
    ),
    "/chain": (
        {"delay_s": _OPTIONAL_NUMBER, "down": _OPTIONAL_FLAG, "settle": _OPTIONAL_FLAG},
        _change_chain,
    ),
    "/cache": (
        {"lifetime_s": _NUMBER},
        lambda switches, body: switches.set_cache_lifetime(cast("float", body["lifetime_s"])),
    ),
    "/credit": (
        {"cents": _COUNT, "account": OPTIONAL_TEXT},
        lambda switches, body: switches.set_credit(
            cast("int", body["cents"]), cast("str | None", body["account"])
        ),
    ),
    "/billing": ({"down": FLAG}, _change_billing),
    "/payments": ({"payment_intent_id": TEXT}, _pay),
    "/root": ({}, lambda switches, _body: switches.state.change_root()),
}
_FAULT: Shape = {
    "fault": OPTIONAL_TEXT,
    "call": OPTIONAL_TEXT,
    "seconds": _OPTIONAL_NUMBER,
    "times": _OPTIONAL_COUNT,
}


def control_app(switches: Switches) -> Starlette:
    """The ASGI application."""

    async def show(_request: Request) -> Response:
        return JSONResponse(switches.snapshot())

    async def requests(_request: Request) -> Response:
        return JSONResponse(switches.requests())

    async def bills(_request: Request) -> Response:
        return JSONResponse(switches.bills())

    async def fault(body: Json) -> None:
        found = _fitted(body, _FAULT)
        await switches.set_fault(
            cast("str | None", found["fault"]),
            cast("str | None", found["call"]) or EVERY_CALL,
            cast("float | None", found["seconds"]),
            cast("int | None", found["times"]),
        )

    async def no_faults(_body: Json) -> None:
        await switches.clear_faults()

    async def rules(body: Json) -> None:
        for name, holds in body.items():
            if not isinstance(holds, bool):
                raise ValueError(f"{name} must be true or false")  # noqa: TRY004 - one error for all misfits
            switches.set_rule(name, holds=holds)

    return Starlette(
        routes=[
            Route("/", show, methods=["GET"]),
            Route("/requests", requests, methods=["GET"]),
            Route("/bills", bills, methods=["GET"]),
            Route("/faults", _changing(switches, fault), methods=["POST"]),
            Route("/faults", _changing(switches, no_faults), methods=["DELETE"]),
            Route("/rules", _changing(switches, rules), methods=["POST"]),
            *(
                Route(path, _changing(switches, _at_once(switches, shape, change)), methods=["POST"])
                for path, (shape, change) in _CHANGES.items()
            ),
        ],
        exception_handlers={404: _failed, 405: _failed},
    )


def _at_once(
    switches: Switches, shape: Shape, change: Callable[[Switches, Json], object]
) -> Callable[[Json], Awaitable[None]]:
    async def changed(body: Json) -> None:
        change(switches, _fitted(body, shape))

    return changed


def _changing(
    switches: Switches, change: Callable[[Json], Awaitable[None]]
) -> Callable[[Request], Awaitable[Response]]:
    """Parse the body, apply the change, return the state."""

    async def serve(request: Request) -> Response:
        try:
            body = parse(await request.body() or b"{}")
            if not isinstance(body, dict):
                raise ValueError("an object is expected")  # noqa: TRY004, TRY301 - one error for all misfits
            await change(body)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse(switches.snapshot())

    return serve


def _fitted(body: Json, shape: Shape) -> Json:
    if strange := sorted(set(body) - set(shape)):
        raise ValueError(f"unknown: {', '.join(strange)}")
    return fitted(body, shape)


async def _failed(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    return JSONResponse({"error": f"{request.method} {request.url.path}: {error}"}, status_code=status)
