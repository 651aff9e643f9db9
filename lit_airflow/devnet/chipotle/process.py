"""A server process: its view of the chain, its caches, its writes."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

from lit_airflow.devnet.chipotle import key_service
from lit_airflow.devnet.chipotle.answer_cache import LIFETIME_S, AnswerCache
from lit_airflow.devnet.chipotle.chain import Replica
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.chipotle.state import State
from lit_airflow.devnet.chipotle.storage import Storage, page

_CODE_CACHE_BYTES = 1024**3
_MOST_CLEARED = 1000


class ChainDownError(Exception):
    """The RPC of the chain does not answer."""

    def __init__(self) -> None:
        super().__init__("error sending request to the chain")


class ServerProcess:
    """One process of the service.

    Args:
        state: State shared by all processes.

    Attributes:
        permissions: Cached permissions.
        paths: Cached derivation paths.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._replica = Replica(state.chain)
        self.permissions: AnswerCache[bool] = AnswerCache()
        self.paths: AnswerCache[int] = AnswerCache()
        self._wallets: dict[int, tuple[int, datetime]] = {}
        self._code: OrderedDict[str, str] = OrderedDict()
        self._code_bytes = 0

    def storage(self) -> Storage:
        """Return the contract's state as this process sees it.

        Raises:
            ChainDownError: The chain is down.
        """
        if self.state.chain_down:
            raise ChainDownError
        return self._replica.storage

    def send(self, method: str, *arguments: object) -> object:
        """Send a transaction as the service and return its result.

        The server simulates it first on the state it sees. So changes that are not visible yet cause reverts, and
        the number of a new group comes from the simulation.

        Raises:
            RevertError: The contract refuses it.
            ChainDownError: The chain is down.
        """
        payer = self.state.api_payers[0]
        _ = self.storage()
        if not self._replica.behind:
            return self.state.chain.send(payer, method, *arguments)
        result = self._replica.simulate(payer, method, *arguments)
        self.state.chain.send(payer, method, *arguments)
        return result

    def can_execute(self, hashed: int, cid_hash: int) -> bool:
        """Return whether a key may run an action. Cached.

        Raises:
            RevertError: Unknown account.
            ChainDownError: The chain is down.
        """
        return self.permissions.recall(
            hashed, cid_hash, self.state.time(), lambda: self.storage().can_execute(hashed, cid_hash)
        )

    def can_use_wallet(self, hashed: int, cid_hash: int, wallet: int) -> bool:
        """Return whether a key may use a wallet in an action. Cached.

        Raises:
            RevertError: Unknown account.
            ChainDownError: The chain is down.
        """
        return self.permissions.recall(
            hashed,
            (cid_hash, wallet),
            self.state.time(),
            lambda: self.storage().can_use_wallet(hashed, cid_hash, wallet),
        )

    def wallet_secret(self, hashed: int, wallet: int, keys: KeyService) -> bytes:
        """Return the secret of the derivation path registered for an address.

        Unregistered addresses have path 0, so all accounts share their key.

        Args:
            hashed: Hash of the API key.
            wallet: The address.
            keys: The enclave's keys.

        Raises:
            RevertError: Unknown account.
            ChainDownError: The chain is down.
            LookupError: The server compares addresses, and the secret's address is another one.
        """
        path = self.paths.recall(
            hashed, wallet, self.state.time(), lambda: self.storage().derivation(hashed, wallet)
        )
        secret = keys.wallet_secret(path)
        if self.state.compares_derivation and key_service.address(secret) != wallet:
            raise LookupError("derived key does not match the wallet address")
        return secret

    def account_wallet(self, hashed: int) -> int:
        """Return the wallet whose credit pays for a key. Cached until an hour after the last use.

        Raises:
            RevertError: Unknown account. Not cached.
            ChainDownError: The chain is down.
        """
        now = self.state.time()
        found = self._wallets.get(hashed)
        if found is None or now - found[1] > timedelta(seconds=LIFETIME_S):
            found = self.storage().account_of(hashed).admin, now
        self._wallets[hashed] = found[0], now
        return found[0]

    def clear_wallet(self, hashed: int) -> None:
        """Clear the cached paying wallet of a key."""
        self._wallets.pop(hashed, None)

    def clear_account_caches(self, hashed: int) -> None:
        """Clear the permissions of a key and of the first 1,000 usage keys of its account."""
        hashes = {hashed}
        try:
            keys = self.storage().account_of(hashed).usage_key_list.values
            hashes.update(page(keys, 0, _MOST_CLEARED))
        except (RevertError, ChainDownError):
            pass
        self.clear(*hashes)

    def clear(self, *hashes: int) -> None:
        """Clear the permissions of some keys."""
        self.permissions.clear(hashes)
        self.paths.clear(hashes)

    def clear_later(self, hashes: tuple[int, ...], at: datetime) -> None:
        """Clear the permissions of some keys at a future time."""
        self.permissions.clear_at(hashes, at)
        self.paths.clear_at(hashes, at)

    def cache_code(self, cid: str, code: str) -> None:
        """Cache the code of an action; the least recently used are evicted."""
        if cid not in self._code:
            self._code_bytes += len(code)
        self._code[cid] = code
        self._code.move_to_end(cid)
        while self._code_bytes > _CODE_CACHE_BYTES:
            _, dropped = self._code.popitem(last=False)
            self._code_bytes -= len(dropped)

    def cached_code(self, cid: str) -> str | None:
        """Return the cached code of an action."""
        code = self._code.get(cid)
        if code is not None:
            self._code.move_to_end(cid)
        return code
