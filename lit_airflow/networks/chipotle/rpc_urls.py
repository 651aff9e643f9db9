"""The RPC URLs that a container names: whose answers a gate believes about which chain.

They are bound to the ciphertext and stand beside it in the clear, so they must not contain API keys that are
secret. Each URL is trusted alone; any one of them suffices.

Source: docs/protocol/gate.md#chains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lit_airflow.errors import ConditionError
from lit_airflow.text import is_encodable, word

MOST_URLS = 4

# After the scheme and, for this machine, the host: printable ASCII without blanks, "@" and "\".
_REST = r"[!-?A-\[\]-~]{1,500}"
_PUBLIC_URL = re.compile(rf"https://{_REST}")
_LOCAL_URL = re.compile(rf"http://(?:127\.0\.0\.1|localhost)[:/]{_REST}")


def check_rpc(rpc: Mapping[str, Any], *, local: bool = False) -> None:
    """Check the form of a container's RPC URLs.

    Args:
        rpc: Chain name -> URLs.
        local: Whether ``http://127.0.0.1`` and ``http://localhost`` may be named. At the public service the
            programs of all accounts share that machine, and any of them may listen and answer there.

    Raises:
        ConditionError: Names the chain and the URL's index, never the URL: it may contain a customer's key.
    """
    if not isinstance(rpc, Mapping):
        raise ConditionError("rpc must be an object: chain name to list of URLs.", field="rpc")
    for chain, urls in rpc.items():
        if not isinstance(chain, str) or not is_encodable(chain):
            raise ConditionError("rpc: a chain's name is not a text.", field="rpc")
        at = f"rpc.{word(chain)}"
        if not isinstance(urls, Sequence) or isinstance(urls, str) or not 1 <= len(urls) <= MOST_URLS:
            raise ConditionError(f"{at} must be a list of 1 to {MOST_URLS} URLs.", field=at)
        for index, url in enumerate(urls):
            _check_url(url, f"{at}[{index}]", local=local)


def _check_url(url: object, at: str, *, local: bool) -> None:
    if not isinstance(url, str) or not (_PUBLIC_URL.fullmatch(url) or _LOCAL_URL.fullmatch(url)):
        raise ConditionError(
            f"{at} must be an https:// URL of printable ASCII without user name, at most 500 characters after the "
            "scheme.",
            field=at,
        )
    if not local and _LOCAL_URL.fullmatch(url):
        raise ConditionError(
            f"{at} names the machine that the service itself runs on.",
            field=at,
            hint="Such URLs are for the local network only; name a public https:// server.",
        )
