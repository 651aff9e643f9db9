"""Answer the JSON-RPC requests to the chain's port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lit_airflow.devnet import chain
from lit_airflow.devnet.asgi import HttpRequest
from lit_airflow.devnet.chain import StakingState
from lit_airflow.devnet.faults import ActiveFault
from lit_airflow.devnet.responses import HttpResponse

_METHOD_NOT_ALLOWED = HttpResponse(405, b"{}")


@dataclass(slots=True)
class RpcHandler:
    """Answers JSON-RPC requests.

    Attributes:
        staking_state: Returns the present state of the staking contract.
        active_fault: The chain's fault.
    """

    staking_state: Callable[[], StakingState]
    active_fault: ActiveFault = field(default_factory=ActiveFault)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request, as the active fault changes it."""
        if request.method != "POST":
            return _METHOD_NOT_ALLOWED
        fault = self.active_fault

        def correct_response() -> HttpResponse:
            state = fault.behaviour.staking(self.staking_state())
            return HttpResponse.success(chain.answer(request.body, state))

        return fault.apply(correct_response)
