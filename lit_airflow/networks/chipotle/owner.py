"""An account that a wallet owns: its transactions are priced, signed here, sent once, and waited for by their hash.

Source: the account contract's ABI of April 2026; EIP-1559; the Ethereum JSON-RPC specification;
docs/protocol/chipotle.md#chainsecured-accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lit_airflow.clock import Deadline
from lit_airflow.errors import (
    ChainUnavailableError,
    OutcomeUnknownError,
    PaymentError,
    ProtocolError,
    SettingsError,
)
from lit_airflow.keys.address import checksummed, same_address
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.chipotle.identifiers import wallet_account_hash
from lit_airflow.transport.chain import Chain, Function
from lit_airflow.transport.http import Repeat

_U, _T, _B, _LIST = "uint256", "string", "bool", "uint256[]"
ACCOUNT_WALLET = Function("getAccountWalletAddress", "50ed5bb8", (_U,), ("address",))
REGISTER = Function("registerWalletDerivation", "92141552", (_U, "address", _U, _T, _T))
SET_KEY = Function(
    "setUsageApiKey", "2da0cf16", (_U, _U, _U, _U, _T, _T, _B, _B, _B, _LIST, _LIST, _LIST, _LIST)
)
REMOVE_KEY = Function("removeUsageApiKey", "c5f5b984", (_U, _U))

RECEIPT_S = 120.0
"""How long a transaction is waited for."""
_PAUSE_S = 2.0  # the time between blocks on Base
_SENDING_S = 20.0
_LIMIT = 2**63  # no nonce, gas or price comes near


@dataclass(frozen=True, slots=True)
class GasPrice:
    """What a unit of gas may cost, in wei.

    Attributes:
        most: The most that is paid.
        tip: The part of the fee that goes to the block builder.
    """

    most: int
    tip: int


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of an account, with the wallet's key.

    Attributes:
        chain: JSON-RPC of the contract's chain.
        contract: The account contract's address.
        wallet: The wallet.
        wait: Waits so many seconds.
    """

    chain: Chain
    contract: str
    wallet: Wallet = field(repr=False)
    wait: Callable[[float], None] = field(repr=False)

    @property
    def account(self) -> int:
        """The account's id on the chain."""
        return int(wallet_account_hash(self.wallet.address), 16)

    def check_chain(self, deadline: Deadline) -> None:
        """Check that the server is one of the contract's chain.

        Raises:
            SettingsError: It serves another chain.
            ChainUnavailableError: No answer.
        """
        if (found := self.chain.number(deadline)) != self.chain.chain_id:
            raise SettingsError(
                f"{self.chain.where} serves chain {found}; the account contract is on chain {self.chain.chain_id}.",
                field="rpc",
                hint="Correct rpc in the network description.",
            )

    def check_account(self, deadline: Deadline) -> None:
        """Check that the wallet owns an account.

        Raises:
            SettingsError: It owns none.
            ChainUnavailableError: No answer.
        """
        try:
            (found,) = self.chain.call(self.contract, ACCOUNT_WALLET, (self.account,), deadline)
        except ChainUnavailableError as error:
            if error.retryable:
                raise
            found = ""
        if not same_address(found, self.wallet.address):
            raise SettingsError(
                f"The wallet {self.wallet.address} owns no account in the contract {self.contract}.",
                field="owner_key",
                hint="Name the key of a wallet that has made a ChainSecured account.",
            )

    def gas_price(self, deadline: Deadline) -> GasPrice:
        """Return what to pay for gas: twice the price of now at most.

        Raises:
            ChainUnavailableError: No answer.
        """
        most = 2 * self._number("eth_gasPrice", [], deadline)
        return GasPrice(most, min(most, self._number("eth_maxPriorityFeePerGas", [], deadline)))

    def gas(self, function: Function, arguments: Sequence[Any], deadline: Deadline) -> int:
        """Return the gas that a transaction may use: a quarter more than is estimated.

        Raises:
            ChainUnavailableError: No answer, or the contract would refuse the transaction.
        """
        call = {
            "from": self.wallet.address,
            "to": self.contract,
            "data": function.call_data(*arguments),
        }
        return self._number("eth_estimateGas", [call], deadline) * 5 // 4

    def check_funds(self, needed_wei: int, deadline: Deadline) -> None:
        """Check that the wallet can pay for gas.

        Raises:
            PaymentError: It has too little.
            ChainUnavailableError: No answer.
        """
        found = self.chain.quantity("eth_getBalance", [self.wallet.address, "latest"], deadline)
        if found < needed_wei:
            raise PaymentError(
                f"The wallet {self.wallet.address} has {ether(found)}, and up to {ether(needed_wei)} are needed.",
                hint="Send it some ETH on the contract's chain.",
            )

    def send(
        self, function: Function, arguments: Sequence[Any], gas: int, price: GasPrice, nonce: int = 0
    ) -> int:
        """Send a transaction once, wait until it was executed, and return the wallet's next nonce.

        Where the answer is lost, the chain is asked for the transaction's receipt; it is not sent again.

        Args:
            function: What to call.
            arguments: Its arguments.
            gas: The most gas that it may use.
            price: What the gas may cost.
            nonce: The least that it can be; the chain's server may lag behind.

        Raises:
            ProtocolError: The contract refused it.
            OutcomeUnknownError: It was sent, and the chain does not show it in time.
            ChainUnavailableError: It was not sent.
        """
        deadline = Deadline.after(RECEIPT_S)
        sending = Deadline.after(_SENDING_S)
        nonce = max(nonce, self._number("eth_getTransactionCount", [self.wallet.address, "pending"], sending))
        raw, name = self._signed(function.call_data(*arguments), nonce, gas, price)
        try:
            result, code = self.chain.ask("eth_sendRawTransaction", [raw], sending, repeat=Repeat.IF_UNSENT)
        except ChainUnavailableError as error:
            if not error.retryable:
                raise
        else:
            if result is None and code is not None:
                raise ChainUnavailableError(
                    f"The chain at {self.chain.where} did not take the transaction {function.name} "
                    f"(JSON-RPC error {code}).",
                    hint="Another transaction of this wallet may be on its way: wait a minute and run it again.",
                )
        self._wait_for(function, name, deadline)
        return nonce + 1

    def _number(self, method: str, params: Sequence[object], deadline: Deadline) -> int:
        """Return a number that can stand in a transaction."""
        found = self.chain.quantity(method, params, deadline)
        if found >= _LIMIT:
            raise ProtocolError(
                f"The chain at {self.chain.where} answers {method} with an impossible number."
            )
        return found

    def _signed(self, data: str, nonce: int, gas: int, price: GasPrice) -> tuple[str, str]:
        return self.wallet.sign_transaction(
            {
                "type": 2,
                "chainId": self.chain.chain_id,
                "nonce": nonce,
                "to": checksummed(self.contract),
                "value": 0,
                "gas": gas,
                "maxFeePerGas": price.most,
                "maxPriorityFeePerGas": price.tip,
                "data": data,
            }
        )

    def _wait_for(self, function: Function, name: str, deadline: Deadline) -> None:
        from tenacity import Retrying, retry_if_result, wait_fixed  # noqa: PLC0415 - only transactions wait

        waiting = Retrying(
            stop=lambda state: state.idle_for >= RECEIPT_S or not deadline.left_s(),
            wait=wait_fixed(_PAUSE_S),
            retry=retry_if_result(lambda status: status is None),
            retry_error_callback=lambda _state: None,
            sleep=self.wait,
        )
        status = waiting(lambda: self._status(name, deadline))
        if status is None:
            raise OutcomeUnknownError(
                f"The transaction {name} ({function.name}) was sent, and the chain does not show it.",
                operation=function.name,
                hint="Look for it with a block explorer before you do anything else with this wallet.",
            )
        if status != 1:
            raise ProtocolError(f"The account contract refused the transaction {name} ({function.name}).")

    def _status(self, name: str, deadline: Deadline) -> int | None:
        """Return 1 if a transaction succeeded, 0 if it failed, ``None`` if that is not known yet."""
        try:
            receipt, _ = self.chain.ask("eth_getTransactionReceipt", [name], deadline)
        except ChainUnavailableError:
            return None
        status = receipt.get("status") if isinstance(receipt, dict) else None
        return {"0x1": 1, "0x0": 0}.get(status) if isinstance(status, str) else None


def ether(wei: int) -> str:
    """Format an amount, such as ``0.0000123 ETH``."""
    return f"{wei / 10**18:.10f}".rstrip("0").rstrip(".") + " ETH"
