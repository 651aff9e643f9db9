"""Real TDX quotes, and quotes of a made-up platform for every refusal that no real one shows."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lit_airflow.devnet.chipotle.tdx_platform import TdReport, TdxPlatform
from lit_airflow.errors import AttestationError, SettingsError
from lit_airflow.networks.chipotle.tdx import QuoteVerifier, check_installed, platform_of, read_quote

VECTORS = Path(__file__).parents[3] / "vectors" / "tdx"
REAL_DAY = datetime.fromtimestamp(1750414563, UTC)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
REPORT = TdReport(b"\x01" * 48, (b"\x02" * 48, b"\x03" * 48, b"\x04" * 48, b"\x05" * 48), b"\x06" * 64)


def real() -> tuple[bytes, dict[str, str]]:
    collateral = json.loads((VECTORS / "tdx_quote_collateral.json").read_text())
    return (VECTORS / "tdx_quote").read_bytes(), collateral


def made_up(platform: TdxPlatform, report: TdReport = REPORT, **of_collateral: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return platform.quote(report), platform.collateral(**of_collateral)


@pytest.fixture(scope="module")
def platform() -> TdxPlatform:
    return TdxPlatform(NOW)


def check_of(verifier: QuoteVerifier, raw: bytes, collateral: dict[str, str], now: datetime) -> str:
    with pytest.raises(AttestationError) as caught:
        verifier.verify(raw, collateral, now)
    return caught.value.check


def test_a_real_quote() -> None:
    quote = QuoteVerifier().verify(*real(), REAL_DAY)
    assert quote.mr_td.hex().startswith("91eb2b44d141d4ec")
    assert quote.registers[0].hex().startswith("44c0197b39157fdd")
    assert quote.report_data.hex().startswith("9a9d48e7f6799642")
    assert (quote.tcb_status, quote.advisories) == ("UpToDate", ())
    assert REAL_DAY < quote.expires_at <= datetime(2025, 7, 20, tzinfo=UTC)


@pytest.mark.parametrize("days", [-2, 30, 400])
def test_a_real_quote_outside_of_the_days_of_its_collateral(days: int) -> None:
    assert check_of(QuoteVerifier(), *real(), REAL_DAY + timedelta(days=days)) == "collateral"


@pytest.mark.parametrize("place", [50, 200, 400, 636, 640, 700, 770, 1100, 1400])
def test_one_bit_of_a_real_quote(place: int) -> None:
    raw, collateral = real()
    raw = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
    assert check_of(QuoteVerifier(), raw, collateral, REAL_DAY) == "quote"


@pytest.mark.parametrize(
    ("day", "check"), [("2026-02-01", "collateral"), ("2026-03-01", "tcb"), ("2026-03-21", "collateral")]
)
def test_a_real_quote_of_a_platform_below_every_level_that_intel_lists(day: str, check: str) -> None:
    collateral = json.loads((VECTORS / "tdx_quote_outdated_collateral.json").read_text())
    raw = (VECTORS / "tdx_quote_outdated").read_bytes()
    verifier = QuoteVerifier(("OutOfDate",))
    assert check_of(verifier, raw, collateral, datetime.fromisoformat(f"{day}T12:00Z")) == check


def test_the_collateral_of_another_platform() -> None:
    collateral = json.loads((VECTORS / "tdx_quote_collateral.json").read_text())
    raw = (VECTORS / "tdx_quote_outdated").read_bytes()
    assert check_of(QuoteVerifier(), raw, collateral, REAL_DAY) == "quote"


def test_a_made_up_quote_verifies_under_its_own_root_only(platform: TdxPlatform) -> None:
    quote = QuoteVerifier(root_ca=platform.root_der).verify(*made_up(platform), NOW)
    assert (quote.mr_td, quote.registers) == (REPORT.mr_td, REPORT.registers)
    assert quote.report_data == REPORT.report_data
    assert quote.expires_at == NOW + timedelta(days=30)
    assert check_of(QuoteVerifier(), *made_up(platform), NOW) == "quote"
    assert check_of(QuoteVerifier(root_ca=TdxPlatform(NOW).root_der), *made_up(platform), NOW) == "quote"


def test_a_machine_that_may_be_debugged(platform: TdxPlatform) -> None:
    report = TdReport(REPORT.mr_td, REPORT.registers, attributes=bytes.fromhex("0100001000000000"))
    verifier = QuoteVerifier(root_ca=platform.root_der)
    assert check_of(verifier, *made_up(platform, report), NOW) == "quote"


@pytest.mark.parametrize("part", ["root_ca_crl", "pck_crl", "tcb_info", "qe_identity"])
@pytest.mark.parametrize(("now", "days"), [(NOW + timedelta(days=2), 1), (NOW - timedelta(hours=1), 30)])
def test_each_part_of_the_collateral_has_its_days(
    platform: TdxPlatform, part: str, now: datetime, days: int
) -> None:
    good = platform.collateral(now=NOW - timedelta(hours=12))
    bad = platform.collateral(days=days)
    mixed = {**good, **{name: bad[name] for name in (part, f"{part}_signature") if name in bad}}
    verifier = QuoteVerifier(root_ca=platform.root_der)
    assert check_of(verifier, platform.quote(REPORT), mixed, now) == "collateral"


@pytest.mark.parametrize("part", ["tcb_info", "qe_identity"])
def test_collateral_whose_dates_were_changed(platform: TdxPlatform, part: str) -> None:
    collateral = platform.collateral(days=1)
    later = (NOW + timedelta(days=1)).strftime("%Y-%m-%d")
    collateral[part] = collateral[part].replace(later, "2027-01-01")
    verifier = QuoteVerifier(root_ca=platform.root_der)
    assert check_of(verifier, platform.quote(REPORT), collateral, NOW) == "quote"


@pytest.mark.parametrize("status", ["OutOfDate", "SWHardeningNeeded", "ConfigurationNeeded"])
def test_the_policy_names_what_it_accepts(status: str) -> None:
    platform = TdxPlatform(NOW, status, ("INTEL-SA-00837",))
    raw, collateral = made_up(platform)
    root = platform.root_der
    for accepted in ((), (status,), ("INTEL-SA-00837",)):
        assert check_of(QuoteVerifier(accepted, root), raw, collateral, NOW) == "tcb"
    quote = QuoteVerifier((status, "INTEL-SA-00837"), root).verify(raw, collateral, NOW)
    assert (quote.tcb_status, quote.advisories) == (status, ("INTEL-SA-00837",))


def test_a_revoked_platform_is_never_accepted() -> None:
    platform = TdxPlatform(NOW, "Revoked")
    verifier = QuoteVerifier(("Revoked",), platform.root_der)
    assert check_of(verifier, *made_up(platform), NOW) == "tcb"


@pytest.mark.parametrize("text", [None, "", "0x", "zz", "ab" * 70_000])
def test_what_is_no_hex_of_a_quote(text: object) -> None:
    with pytest.raises(AttestationError) as caught:
        read_quote(text)
    assert caught.value.check == "quote"


@pytest.mark.parametrize("raw", [b"\x01", b"x" * 1000, bytes(5000)])
def test_what_is_no_quote(raw: bytes) -> None:
    with pytest.raises(AttestationError) as caught:
        platform_of(raw)
    assert caught.value.check == "quote"


def test_an_sgx_enclave_is_no_tdx_machine(platform: TdxPlatform) -> None:
    raw = bytearray(platform.quote(REPORT))
    raw[0:2] = (3).to_bytes(2, "little")  # version 3 is SGX's
    raw[4:8] = bytes(4)
    assert check_of(QuoteVerifier(), bytes(raw), platform.collateral(), NOW) == "quote"


@pytest.mark.parametrize(
    "change",
    [
        *({"tcb_info": "{"}, {"pck_crl": "zz"}, {"qe_identity": "{}"}, {"root_ca_crl": ""}),
        *({name: value} for name in ("tcb_info", "root_ca_crl") for value in (None, 5, {}, ["00"])),
        {"tcb_info": '{"issueDate": "9999-12-31T23:59:59-14:00", "nextUpdate": 5}'},
        {"pck_crl_issuer_chain": {}},
    ],
)
def test_what_is_no_collateral(platform: TdxPlatform, change: dict[str, Any]) -> None:
    collateral = {**platform.collateral(), **change}
    assert check_of(QuoteVerifier(), platform.quote(REPORT), collateral, NOW) == "collateral"


def test_without_the_extra_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dcap_qvl", None)
    with pytest.raises(SettingsError, match=r"pip install 'lit-airflow\[attestation\]'") as caught:
        check_installed()
    assert caught.value.field == "attestation"
