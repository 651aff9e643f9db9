"""Who may change what in the account contract.

Source: ``SecurityLib.sol`` and ``AppStorage.sol`` of April 2026.
"""

from __future__ import annotations

from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.chipotle.storage import Account, Storage


def writable(storage: Storage, sender: int, hashed: int) -> Account:
    """Return the account of a key's hash, for which the sender may write.

    Raises:
        RevertError: ``NoAccountAccess``.
    """
    if not storage.exists_and_is_mutable(hashed, sender):
        raise RevertError("NoAccountAccess", (hashed, sender))
    return storage.accounts[storage.masters[hashed]]


def as_master(storage: Storage, sender: int, hashed: int) -> Account:
    """Return the account whose own hash this is, for which the sender may write.

    Raises:
        RevertError: ``NoAccountAccess``, or for a usage key ``NotMasterAccount``.
    """
    account = writable(storage, sender, hashed)
    revert_if_not_master(storage, hashed)
    return account


def revert_if_not_master(storage: Storage, hashed: int) -> None:
    """Refuse any hash but an account's own.

    Raises:
        RevertError: ``NotMasterAccount``.
    """
    if storage.masters.get(hashed) != hashed:
        raise RevertError("NotMasterAccount", (hashed,))
