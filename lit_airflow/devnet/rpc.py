"""The chain's port: JSON-RPC over HTTP, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lit_airflow.devnet import chain
from lit_airflow.devnet.chain import ChainFacts
from lit_airflow.devnet.replies import Reply
from lit_airflow.devnet.responses import Asked
from lit_airflow.devnet.trouble import Trouble

_NOT_ALLOWED = Reply(405, b"{}")


@dataclass(slots=True)
class ChainDesk:
    """Answers JSON-RPC.

    Attributes:
        facts: Tells what the contracts know now.
        trouble: What is wrong with it.
    """

    facts: Callable[[], ChainFacts]
    trouble: Trouble = field(default_factory=Trouble)

    def answer(self, asked: Asked) -> Reply:
        """Answer a request, under whatever fault is in force."""
        if asked.method != "POST":
            return _NOT_ALLOWED
        fault = self.trouble.fault
        return self.trouble.applied(lambda: Reply.of(chain.answer(asked.raw, fault.facts(self.facts()))))
