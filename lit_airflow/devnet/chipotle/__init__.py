"""A local Chipotle: the REST service of Lit's live network on loopback ports, for development and tests.

::

    from lit_airflow.devnet.chipotle import Chipotle

    with Chipotle() as net:
        client = LitClient(net.description)
        net.set_fault("lost-after", call="add_usage_api_key", times=1)
        net.set_chain_delay(5)
        net.requests, net.bills

It starts with a funded account, a group that holds one freshly salted gate, and a usage key that can run only that
gate. Lit Actions run in real Deno. It refuses what the real service refuses, with the same status and the same
shape of body, in two profiles: ``april`` and ``june``. It parses requests with its own code, not the client's.

It does not prove that the real service answers in time, attests its hardware or runs the build that a profile
describes. Its keys cannot open anything sealed for production.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from lit_airflow.devnet.chipotle.network import LocalChipotle, Settings
from lit_airflow.devnet.chipotle.profiles import PROFILES
from lit_airflow.devnet.threaded_network import ThreadedNetwork
from lit_airflow.errors import SettingsError

__all__ = ["Chipotle", "Settings", "serve_chipotle"]

_THIS_MACHINE = ("127.0.0.1", "localhost")


class Chipotle(ThreadedNetwork[LocalChipotle]):
    """A local Chipotle in a thread of this process; a context manager.

    Args:
        profile: The build to imitate: ``april``, or ``june`` for v1.1.10 and later.
        host: Name or IPv4 address to bind.
        port: Port of the service; the chain and the control server take the next two. 0 takes any free ports.
        settings: Everything else: clock, randomness, limits, number of processes.

    Raises:
        SettingsError: No such profile, or a port is taken.
    """

    def __init__(
        self,
        profile: str = "june",
        host: str = "127.0.0.1",
        port: int = 0,
        settings: Settings | None = None,
    ) -> None:
        if profile not in PROFILES:
            raise SettingsError(
                f"There is no profile {profile!r}; there are {', '.join(PROFILES)}.", field="profile"
            )
        chosen = replace(settings or Settings(), profile=PROFILES[profile], host=host, port=port)
        super().__init__(partial(LocalChipotle, chosen), "lit-chipotle")

    @property
    def description(self) -> dict[str, object]:
        """What a client needs to know: the JSON object that ``LitClient`` and ``--network`` read."""
        return self.network.description()

    @property
    def requests(self) -> list[dict[str, object]]:
        """Requests so far: ``call``, ``status``, ``request_id``, ``key_hash``, ``private``."""
        return self._call(lambda network: network.requests())

    @property
    def bills(self) -> list[dict[str, object]]:
        """Charges so far: ``at``, ``cents``, ``what``."""
        return self._call(lambda network: network.bills())

    @property
    def snapshot(self) -> dict[str, object]:
        """The whole state, as the control server returns it."""
        return self._call(lambda network: network.snapshot())

    def set_fault(
        self, name: str | None, *, call: str = "*", seconds: float | None = None, times: int | None = None
    ) -> None:
        """Put a fault in force for some calls, or remove it with ``None``.

        Args:
            name: A key of ``lit_airflow.devnet.chipotle.faults.FAULTS``.
            call: An endpoint's name, ``*``, ``writes`` or ``reads``.
            seconds: For faults that take a duration.
            times: Number of requests that the fault affects; all if omitted.

        Raises:
            ValueError: Unknown fault, or options that do not fit it.
        """
        self._run(self.network.set_fault(name, call, seconds, times))

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._run(self.network.clear_faults())

    def set_clock_offset(self, seconds: float) -> None:
        """Move the clock of the service and its actions; positive is ahead.

        Raises:
            ValueError: More than a century.
        """
        self._call(lambda network: network.set_clock_offset(seconds))

    def set_chain_delay(self, seconds: float) -> None:
        """Set how long servers take to see changes made from now on.

        Raises:
            ValueError: Negative, or more than a century.
        """
        self._call(lambda network: network.set_chain_delay(seconds))

    def set_rule(self, name: str, *, holds: bool) -> None:
        """Change a rule of the contract (``storage.ContractRules``), or ``compares_derivation``.

        Raises:
            ValueError: No such rule.
        """
        self._call(lambda network: network.set_rule(name, holds=holds))

    def set_credit(self, cents: int) -> None:
        """Set the credit of the default account."""
        self._call(lambda network: network.set_credit(cents))

    def new_pkp(self) -> str:
        """Create a PKP of the default account, and return its address."""
        return self._call(lambda network: network.account.new_pkp(network.state))

    def permit(self, *codes: str, pkps: Sequence[str] = ()) -> str:
        """Let the default account run actions; return a usage key that can run these only.

        Args:
            codes: The actions' texts.
            pkps: Addresses of PKPs that these actions may use.
        """
        return self._call(lambda network: network.account.permit(network.state, codes, pkps))

    def change_root(self) -> None:
        """Derive all keys of the enclave from a new root, so every gate and wallet gets another key."""
        self._call(lambda network: network.state.change_root())


def serve_chipotle(  # noqa: PLR0913 - the command line's own options
    host: str,
    port: int,
    announce: Callable[[dict[str, object]], None],
    stop: threading.Event,
    *,
    profile: str = "june",
    faults: Sequence[str] = (),
    settings: Settings | None = None,
) -> None:
    """Run a local Chipotle until ``stop`` is set.

    Args:
        host: Name or IPv4 address to bind.
        port: The service's port, 0 for any.
        announce: Called once with the description, when all ports accept connections and actions can run.
        stop: Ends it.
        profile: The build to imitate.
        faults: Faults in force from the start, each as ``CALL=NAME[:SECONDS]``.
        settings: Everything else. By default actions may reach servers on this machine, such as a chain's RPC.

    Raises:
        SettingsError: As ``Chipotle``, no such fault, or Deno or ethers is not available.
    """
    with Chipotle(profile, host, port, settings or Settings(allow_net=_THIS_MACHINE)) as net:
        net.network.start_actions()
        for text in faults:
            try:
                call, name, seconds = _fault(text)
                net.set_fault(name, call=call, seconds=seconds)
            except ValueError as error:
                raise SettingsError(
                    f"{text!r}: {error}.",
                    field="fault",
                    hint="Write it as lit_action=overloaded, writes=slow:2.5 or *=down.",
                ) from error
        announce(net.description)
        stop.wait()


def _fault(text: str) -> tuple[str, str, float | None]:
    call, equals, fault = text.partition("=")
    if not equals:
        raise ValueError("it names no fault")
    name, colon, seconds = fault.partition(":")
    return call, name, float(seconds) if colon else None
