"""Runs Lit Actions as the Chipotle server does, in real Deno processes without permissions.

::

    with DenoRunner() as runner:
        run = runner.run(
            code,                                       # defines main(params)
            '{"ask":"key"}',                # JSON text, put into the source as it stands
            Host(calls={"getLitActionPrivateKey": lambda argument: "0x…"}),
        )
        run.response                                    # text: what main returned; JSON unless it was a text
        run.logs                                        # text: console output
        run.failure                                     # None, or .kind and .message

* ``Lit.Actions.NAME(argument)`` calls ``host.calls[NAME](argument)`` in this process, on the calling thread. Raise
  :class:`CallError` to throw an error with that text inside the action. ``setResponse`` is built in.
* ``ethers`` 5.7.2, WebCrypto, ``fetch`` and the text functions are globals; code from strings is off.
* Each run has a fresh isolate. ``runs_per_worker`` above 1 shares one isolate between runs, which costs
  milliseconds instead of a second. Use it only for a trusted text that sets no globals, such as a gate.
* A process reads no file and reaches no network except ``allow_net``; with ``Host.fetch`` the action's requests go
  to that function instead.
* A run over its limits is ended and reported as a failure. Other runs are not affected.

The wheel ``deno`` (extra ``devnet``) brings the engine. ethers comes from npm once and is pinned by hash.
"""

from __future__ import annotations

from lit_airflow.devnet.deno.runner import (
    ActionFailure,
    ActionRun,
    CallError,
    DenoRunner,
    FetchReply,
    FetchRequest,
    Host,
    Limits,
)

__all__ = [
    "ActionFailure",
    "ActionRun",
    "CallError",
    "DenoRunner",
    "FetchReply",
    "FetchRequest",
    "Host",
    "Limits",
]
