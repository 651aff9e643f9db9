"""Reading a contract over JSON-RPC (``eth_call``); ABI values are encoded by ``eth_abi``.

Source: the Ethereum JSON-RPC specification; docs/protocol/discovery.md.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lit_airflow.clock import Deadline
from lit_airflow.errors import ChainUnavailableError, FailureKind, NodeError, ProtocolError
from lit_airflow.transport.fan_out import TIMEOUT_HINT, ask_one
from lit_airflow.transport.http import BUSY_STATUSES, Http, Repeat

# No repeated group: each repetition would take memory.
_HEX = re.compile(r"0x[0-9a-fA-F]*")
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


@dataclass(frozen=True, slots=True)
class Function:
    """A contract function without side effects.

    Attributes:
        name: Its name.
        selector: The first four bytes of its signature's Keccak-256, hex. Written down rather than computed: the
            library that computes it takes longer to import than any other part of a call (``docs/adr/0016``).
        inputs: ABI types of the arguments.
        outputs: ABI types of the results.
    """

    name: str
    selector: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def call_data(self, *arguments: Any) -> str:  # noqa: ANN401 - as the ABI says
        """Return the selector and the encoded arguments, ``0x`` hex."""
        from eth_abi.abi import encode  # noqa: PLC0415 - kept out of DAG parsing

        return f"0x{self.selector}{encode(self.inputs, arguments).hex()}"

    def decode(self, result: str) -> tuple[Any, ...]:
        """Return the decoded results.

        Raises:
            ProtocolError: The contract answered something of another shape.
        """
        from eth_abi.abi import decode  # noqa: PLC0415 - kept out of DAG parsing
        from eth_abi.exceptions import DecodingError  # noqa: PLC0415 - the same

        try:
            return decode(self.outputs, bytes.fromhex(result.removeprefix("0x")))
        except (DecodingError, ValueError, OverflowError) as error:
            raise ProtocolError(
                f"The contract's answer to {self.name} does not match its ABI.",
                hint="Check rpc_url, and staking_address or resolver_address.",
            ) from error


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain's JSON-RPC.

    Attributes:
        http: How to send requests.
        rpc_url: The JSON-RPC server.
        chain_id: Which chain that should be, for messages; 0 where it is not known.
    """

    http: Http
    rpc_url: str = field(repr=False)
    chain_id: int = 0

    @property
    def where(self) -> str:
        """Host and port, which may be shown; the rest of the URL may contain an API key."""
        parts = urlsplit(self.rpc_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def call(
        self, contract: str, function: Function, arguments: Sequence[Any], deadline: Deadline
    ) -> tuple[Any, ...]:
        """Call a function at the latest block.

        Raises:
            ChainUnavailableError: No answer, or an error.
            ProtocolError: The answer does not decode.
        """
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "eth_call",
            "params": [{"to": contract, "data": function.call_data(*arguments)}, "latest"],
        }
        answer = self._ask(json.dumps(body), deadline)
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, str) or not _HEX.fullmatch(result) or len(result) % 2:
            which = f"chain {self.chain_id}" if self.chain_id else "the right chain"
            raise ChainUnavailableError(
                f"The chain at {self.where} refused the call of {function.name}.",
                hint=f"Check staking_address or resolver_address, and that rpc_url is a JSON-RPC of {which}.",
            )
        return function.decode(result)

    def number(self, deadline: Deadline) -> int:
        """Return the chain's number, as its server says (``eth_chainId``).

        Raises:
            ChainUnavailableError: No answer, or one of another shape.
        """
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
        answer = self._ask(json.dumps(body), deadline)
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, str) or not _QUANTITY.fullmatch(result):
            raise ChainUnavailableError(
                f"The server at {self.where} does not say which chain it serves.",
                hint="Check that rpc_url is a chain's JSON-RPC.",
            )
        return int(result, 16)

    def logs(self, contract: str, topics: Sequence[str], deadline: Deadline) -> list[Any]:
        """Return a contract's events with these topics, from the first block on (``eth_getLogs``).

        Raises:
            ChainUnavailableError: No answer, or a refusal; many servers limit the number of blocks.
        """
        wanted = {"address": contract, "topics": list(topics), "fromBlock": "0x0", "toBlock": "latest"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [wanted]}
        answer = self._ask(json.dumps(body), deadline)
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, list):
            raise ChainUnavailableError(
                f"The chain at {self.where} refused to return the events of {contract}.",
                hint="Use a server that returns events from the first block on.",
            )
        return result

    def _ask(self, body: str, deadline: Deadline) -> Any:  # noqa: ANN401 - JSON of any shape
        def ask(url: str, cancelled: threading.Event) -> Any:  # noqa: ANN401 - the same
            response = self.http.post(url, body, deadline=deadline, repeat=Repeat.ALWAYS, cancelled=cancelled)
            if not response.succeeded:
                busy = response.status in BUSY_STATUSES
                raise NodeError(
                    f"HTTP {response.status}", kind=FailureKind.BUSY if busy else FailureKind.REFUSED
                )
            content = response.json()
            if content is None:
                raise NodeError("the answer is not JSON")
            return content

        try:
            return ask_one(self.rpc_url, ask, deadline)
        except NodeError as error:
            hint = "Check rpc_url, in the connection or the network description, and that a JSON-RPC answers there."
            timed_out = error.kind is FailureKind.TIMEOUT
            raise ChainUnavailableError(
                f"The chain at {self.where} does not answer: {error}.",
                hint=f"{hint} {TIMEOUT_HINT if timed_out else ''}".rstrip(),
            ) from None  # its frames have the URL
