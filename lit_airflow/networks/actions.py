"""What networks that run programs offer beside the contract: actions, signatures by keys that they hold, credit.

:func:`acting` returns this side of a network, or says that it has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from lit_airflow.clock import Deadline
from lit_airflow.errors import SettingsError
from lit_airflow.networks.contract import Cost, Network

if TYPE_CHECKING:
    from lit_airflow.protocol.signing import Signed, SigningPolicy, SigningRequest

OnCost = Callable[[Cost], None]
"""Called with the cost of each run, in the thread that waited for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What to run: a text, or a gate that the connection's secret lists.

    Attributes:
        code: The text, byte for byte: its CID follows from it.
        gate: The gate's public key instead. Its text and its CID stay secret.
        expected_cid: The only CID that may be sent; any if empty.
        repeatable: Whether it may run again when the answer to a run was lost. Without it, a run is sent once.
    """

    code: str = field(default="", repr=False)
    gate: str = ""
    expected_cid: str = ""
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRun:
    """How a run ended.

    Attributes:
        response: What the action returned, with the JSON type that the service gave it.
        note: What may have become of the response's type on the way, a sentence; empty where nothing can have.
        logs: What it wrote to its console.
        cid: The text's CID; empty for a gate, whose CID stays secret.
        cost: What the run cost.
    """

    response: Any = field(repr=False)
    note: str
    logs: str = field(repr=False)
    cid: str
    cost: Cost


class ActingNetwork(Network, Protocol):
    """A network that runs actions and signs. Each verb ends by its deadline."""

    def run_action(self, action: Action, params: Any, deadline: Deadline) -> ActionRun:  # noqa: ANN401 - JSON
        """Run an action.

        Args:
            action: What to run.
            params: What it is given: any JSON. The service sees it, so it must not contain secrets in clear.
            deadline: When to stop waiting. The service lets the action run on.

        Raises:
            SettingsError: No text, another CID than expected, or too long. Nothing was sent.
            AccessDeniedError: The API key is unknown, or may not run this action.
            PaymentError: There is no credit left.
            RateLimitedError: The service is too busy.
            ActionFailedError: The action threw an error, or reached a limit.
            OutcomeUnknownError: The answer was lost, and the action may not be repeated.
            NetworkError: The service does not answer.
        """
        ...

    def action_cid(self, code: str) -> str:
        """Return the CID of an action's text. Sends nothing.

        Raises:
            SettingsError: The text is blank, or no text.
        """
        ...

    def signing_code(self, policy: SigningPolicy) -> tuple[str, str]:
        """Return the text of the action that signs under a policy, and its CID. Sends nothing."""
        ...

    def sign(
        self, request: SigningRequest, policy: SigningPolicy, deadline: Deadline, on_cost: OnCost
    ) -> Signed:
        """Have the network sign with a key that it holds, and verify the signature.

        Raises:
            SettingsError: The policy does not permit it. Nothing was sent.
            SignatureError: What came back is not the signature that was asked for.
            LitError: As :meth:`run_action`.
        """
        ...

    def credit_cents(self, deadline: Deadline) -> int:
        """Return the account's credit in US cents; free.

        Raises:
            NetworkError: The service does not answer, or does not know the API key.
        """
        ...

    def price_cents(self, seconds: float) -> int:
        """Return what a run of that many seconds costs, in US cents. Sends nothing."""
        ...

    def decryption_runs(self, containers: int) -> int:
        """Return how many runs it takes at least to decrypt that many containers. Sends nothing."""
        ...


def acting(network: Network) -> ActingNetwork:
    """Return a network as one that runs actions.

    Raises:
        SettingsError: It runs none.
    """
    if not network.traits.runs_actions:
        raise SettingsError(
            f"{network.name} runs no actions.",
            field="network",
            hint="Name a network in the connection that does; docs/networks.md says which do.",
        )
    # The traits say so; nothing asks for the class.
    return cast("ActingNetwork", network)


def signing(network: Network) -> ActingNetwork:
    """Return a network as one that signs.

    Raises:
        SettingsError: It does not.
    """
    if not network.traits.signs:
        raise SettingsError(
            f"{network.name} does not sign with keys of its own.",
            field="network",
            hint="Name a network in the connection that does; docs/networks.md says which do.",
        )
    return cast("ActingNetwork", network)
