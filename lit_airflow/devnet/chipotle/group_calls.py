"""Endpoints for groups, and for the names of actions."""

from __future__ import annotations

from lit_airflow.devnet.chipotle.account_calls import OK
from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.cid import CHUNK_BYTES, action_cid
from lit_airflow.devnet.chipotle.identifiers import key_hash, parse_address, parse_hash, parse_number
from lit_airflow.devnet.chipotle.refusals import bad_request, guarded


def add_group(call: Call) -> object:
    """Make a group."""
    cid_hashes, pkps = _lists(call)
    name, description = call.text("group_name"), call.text("group_description")
    number = call.write("add_group", call.hashed, name, description, cid_hashes, pkps)
    call.forget_account()
    return {**OK, "group_id": str(number)}


def update_group(call: Call) -> object:
    """Replace all that is stored of a group; a list that is left out becomes empty."""
    number = call.number("group_id")
    if number == 0:
        raise _not_zero("Cannot update group with ID 0")
    cid_hashes, pkps = _lists(call)
    name, description = call.text("name"), call.text("description")
    call.write("update_group", call.hashed, number, name, description, cid_hashes, pkps)
    call.forget_account()
    return OK


def remove_group(call: Call) -> object:
    """Remove a group."""
    number = call.parsed("Unable to parse group ID", parse_number, call.text("group_id"))
    if number == 0:
        raise _not_zero("Cannot remove group with ID 0")
    call.write("remove_group", call.hashed, number)
    call.forget_account()
    return OK


def add_action(call: Call) -> object:
    """Give an action a name."""
    cid_hash = key_hash(call.text("action_ipfs_cid"))
    call.write("add_action", call.hashed, call.text("name"), call.text("description"), cid_hash)
    call.forget_account()
    return OK


def delete_action(call: Call) -> object:
    """Forget an action's name, and take it out of all groups."""
    call.write("remove_action", call.hashed, _action(call, "Cannot remove action with hash 0x0"))
    call.forget_account()
    return OK


def update_action_metadata(call: Call) -> object:
    """Rename an action."""
    cid_hash = _action(call, "Cannot update action with hash 0x0")
    call.write("update_action_metadata", call.hashed, cid_hash, call.text("name"), call.text("description"))
    return OK


def add_action_to_group(call: Call) -> object:
    """Put an action, named by its CID, into a group."""
    cid_hash = key_hash(call.text("action_ipfs_cid"))
    call.write("add_action_to_group", call.hashed, call.number("group_id"), cid_hash)
    call.forget_account()
    return OK


def remove_action_from_group(call: Call) -> object:
    """Take an action, named by the hash of its CID, out of a group."""
    number = call.number("group_id")
    if number == 0:
        raise _not_zero("Cannot remove action from group with ID 0")
    cid_hash = call.parsed("Unable to parse hashed CID", parse_number, call.text("hashed_cid"))
    call.write("remove_action_from_group", call.hashed, number, cid_hash)
    call.forget_account()
    return OK


def add_pkp_to_group(call: Call) -> object:
    """Put a wallet into a group."""
    call.write("add_pkp_to_group", call.hashed, call.number("group_id"), _wallet(call))
    call.forget_account()
    return OK


def remove_pkp_from_group(call: Call) -> object:
    """Take a wallet out of a group."""
    call.write("remove_pkp_from_group", call.hashed, call.number("group_id"), _wallet(call))
    call.forget_account()
    return OK


def get_lit_action_ipfs_id(call: Call) -> object:
    """Return the CID of a text."""
    return cid_of(call, call.text(""))


def cid_of(call: Call, code: str) -> str:
    """Return the CID that the server computes of a text.

    Raises:
        RefusalError: 500 where its library cannot.
    """
    size = len(code.encode())
    if call.state.profile.fails_on_whole_chunks and size and size % CHUNK_BYTES == 0:
        raise guarded(500)
    return action_cid(code)


def _lists(call: Call) -> tuple[list[int], list[int]]:
    cid_hashes = [
        call.parsed("invalid hex in list", parse_hash, each) for each in call.texts("cid_hashes_permitted")
    ]
    pkps = [
        call.parsed("invalid address in list", parse_address, each)
        for each in call.texts("pkp_ids_permitted")
    ]
    return cid_hashes, pkps


def _wallet(call: Call) -> int:
    return call.parsed("Invalid PKP ID", parse_address, call.text("pkp_id"))


def _action(call: Call, zero: str) -> int:
    cid_hash = call.parsed("Unable to parse hashed CID", parse_number, call.text("hashed_cid"))
    if cid_hash == 0:
        raise _not_zero(zero)
    return cid_hash


def _not_zero(message: str) -> Exception:
    return bad_request(message, message)
