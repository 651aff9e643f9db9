"""What a debugger, a log line or a traceback with local variables would show."""

from __future__ import annotations

from lit_airflow.networks.contract import SessionOptions
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.session import SessionKey
from lit_airflow.protocol.session_storage import SessionStorage

SIG = "0x" + "5a" * 65


def test_a_store_does_not_show_what_it_holds() -> None:
    storage = SessionStorage({})
    key = storage.session_key()
    storage.keep("custom", "0x1", AuthSig(SIG, "web3.eth.personal.sign", "text", "0x1"))
    assert key.seed.reveal().hex() in str(storage.store)
    assert key.seed.reveal().hex() not in repr(storage)
    assert SIG not in repr(storage)


def test_options_show_neither_key_nor_signatures() -> None:
    key = SessionKey.generate()
    capability = AuthSig(SIG, "web3.eth.personal.sign", "text", "0x1")
    options = SessionOptions(
        ttl_s=60, session_key=key, capabilities=[capability], storage=SessionStorage({"k": SIG})
    )
    assert SIG not in repr(options)
    assert key.seed.reveal().hex() not in repr(options)
    assert "ttl_s=60" in repr(options)
