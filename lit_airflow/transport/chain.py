"""A chain's JSON-RPC: calling contracts, and asking for what else it knows. ABI values are encoded by ``eth_abi``.

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
from lit_airflow.json_input import try_parse
from lit_airflow.transport.fan_out import TIMEOUT_HINT, ask_one
from lit_airflow.transport.http import BUSY_STATUSES, Http, Repeat, Response

# No repeated group: each repetition would take memory.
_HEX = re.compile(r"0x[0-9a-fA-F]*")
_TOO_MANY_REQUESTS = 429
_WANTS_KEY = (401, 402, 403)
_PROXY_WANTS_LOGIN = 407
_MOVED = (301, 302, 303, 307, 308)
_LIMIT_EXCEEDED = frozenset({-32005, 429})
"""EIP-1474's code, and the HTTP status that some servers put in its place."""
_FINAL = frozenset({3, -32600, -32601, -32602})
"""JSON-RPC's codes for a call that reverts, and for what is wrong with the request itself."""
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


@dataclass(frozen=True, slots=True)
class Function:
    """A contract function.

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
        params = [{"to": contract, "data": function.call_data(*arguments)}, "latest"]
        result, code = self.ask("eth_call", params, deadline)
        if not isinstance(result, str) or not _HEX.fullmatch(result) or len(result) % 2:
            which = f"chain {self.chain_id}" if self.chain_id else "the right chain"
            error = ChainUnavailableError(
                f"The chain at {self.where} refused the call of {function.name}{_shown(code)}.",
                hint=f"Check staking_address or resolver_address, and that rpc_url is a JSON-RPC of {which}.",
            )
            error.retryable = code not in _FINAL
            raise error
        return function.decode(result)

    def quantity(self, method: str, params: Sequence[object], deadline: Deadline) -> int:
        """Return what a method answers with one number, such as ``eth_getBalance``.

        Raises:
            ChainUnavailableError: No answer, a refusal, or no number. It is not retryable if a contract reverts.
        """
        result, code = self.ask(method, params, deadline)
        if not isinstance(result, str) or not _QUANTITY.fullmatch(result):
            error = ChainUnavailableError(f"The chain at {self.where} refused {method}{_shown(code)}.")
            error.retryable = code not in _FINAL
            raise error
        return int(result, 16)

    def number(self, deadline: Deadline) -> int:
        """Return the chain's number, as its server says (``eth_chainId``).

        Raises:
            ChainUnavailableError: No answer, or one of another shape.
        """
        result, code = self.ask("eth_chainId", [], deadline)
        if not isinstance(result, str) or not _QUANTITY.fullmatch(result):
            raise ChainUnavailableError(
                f"The server at {self.where} does not say which chain it serves{_shown(code)}.",
                hint="Check that rpc_url is a chain's JSON-RPC.",
            )
        return int(result, 16)

    def logs(self, contract: str, topics: Sequence[str], deadline: Deadline) -> list[Any]:
        """Return a contract's events with these topics, from the first block on (``eth_getLogs``).

        Raises:
            ChainUnavailableError: No answer, or a refusal; many servers limit the number of blocks.
        """
        wanted = {"address": contract, "topics": list(topics), "fromBlock": "0x0", "toBlock": "latest"}
        result, code = self.ask("eth_getLogs", [wanted], deadline)
        if not isinstance(result, list):
            raise ChainUnavailableError(
                f"The chain at {self.where} refused to return the events of {contract}{_shown(code)}.",
                hint="Use a server that returns events from the first block on.",
            )
        return result

    def ask(
        self, method: str, params: Sequence[object], deadline: Deadline, *, repeat: Repeat = Repeat.ALWAYS
    ) -> tuple[Any, int | None]:
        """Return a method's result, and the server's error code; ``None`` if it gave none.

        Args:
            method: Its name.
            params: Its parameters.
            deadline: When all attempts must end.
            repeat: Which failures may be answered by sending it again.

        Raises:
            ChainUnavailableError: No answer, or none that may come from a JSON-RPC server.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

        def ask(url: str, cancelled: threading.Event) -> tuple[Any, int | None]:
            def once() -> tuple[Any, int | None]:
                return _result(
                    self.http.post(url, body, deadline=deadline, repeat=repeat, cancelled=cancelled)
                )

            try:
                return once()
            except NodeError as error:
                # Without a code the server did not answer, and http.py has tried again.
                if not error.code or repeat is not Repeat.ALWAYS:
                    raise
                from lit_airflow.transport.retry import try_again  # noqa: PLC0415 - only failures pay for tenacity

                return try_again(once, error, deadline, cancelled)

        try:
            return ask_one(self.rpc_url, ask, deadline)
        except NodeError as error:
            raise self._unavailable(error) from None  # its frames have the URL

    def _unavailable(self, error: NodeError) -> ChainUnavailableError:
        says = "does not answer"
        hint = (
            "Check rpc_url, in the connection or the network description, and that a JSON-RPC answers there."
        )
        if error.kind is FailureKind.TIMEOUT:
            hint = f"{hint} {TIMEOUT_HINT}"
        elif error.kind is FailureKind.BUSY:
            says = "limits requests" if error.status == _TOO_MANY_REQUESTS else "cannot answer now"
            hint = "Wait, run fewer tasks at once, or set rpc_url to a server with a higher limit."
        elif error.status == _PROXY_WANTS_LOGIN:
            says = "cannot be reached: a proxy wants a login"
            hint = "Put user and password into HTTP_PROXY or HTTPS_PROXY, or the server's name into NO_PROXY."
        elif error.status in _WANTS_KEY:
            says, hint = "refuses this client", "Check the key in rpc_url, and what it may be used for."
        elif error.kind is FailureKind.REFUSED:
            says, hint = (
                "refuses the request",
                "Check rpc_url: the server is there, and it is not at this path.",
            )
        found = ChainUnavailableError(f"The chain at {self.where} {says}: {error}.", hint=hint)
        # Another attempt does not help where the server has answered and refused.
        found.retryable = error.kind is not FailureKind.REFUSED
        return found


def _result(response: Response) -> tuple[Any, int | None]:
    """Return a JSON-RPC result and the server's error code. What the body says counts more than its media type."""
    content = try_parse(response.body)
    answer = content if isinstance(content, dict) else {}
    error = answer.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and code in _LIMIT_EXCEEDED:
        raise NodeError(
            f"too many requests (JSON-RPC error {code})",
            kind=FailureKind.BUSY,
            status=_TOO_MANY_REQUESTS,
            code=str(code),
            retryable=True,
            retry_after_s=response.retry_after_s,
        )
    if not response.succeeded:
        busy = response.status in BUSY_STATUSES
        moved = " (it has moved, and redirects are not followed)" if response.status in _MOVED else ""
        raise NodeError(
            f"HTTP {response.status}{moved}",
            kind=FailureKind.BUSY if busy else FailureKind.REFUSED,
            status=response.status,
        )
    if content is None:
        raise NodeError("the answer is not JSON")
    return answer.get("result"), code if isinstance(code, int) else None


def _shown(code: int | None) -> str:
    return "" if code is None else f" (JSON-RPC error {code})"
