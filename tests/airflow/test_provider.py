"""What Airflow learns of this provider: metadata, connection type, form."""

import dataclasses
import json
import sys
import types
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from airflow.__main__ import main

from lit_airflow import __version__, get_provider_info
from lit_airflow.provider.settings import Settings

EMPTY = (None, "")
SECRET_FIELDS = ["wallet_secret", "seal_secret"]


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("airflow").joinpath(name).read_text())
    return found


def fields() -> dict[str, Any]:
    found: dict[str, Any] = get_provider_info()["connection-types"][0]["conn-fields"]
    return found


def test_the_metadata_is_of_airflows_shape() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))
    strict = schema("provider.yaml.schema.json")["properties"]
    for part in ("connection-types", "hooks", "operators", "sensors", "integrations", "asset-uris"):
        jsonschema.validate(get_provider_info()[part], strict[part])


def test_the_strict_schema_notices_a_mistake() -> None:
    strict = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    wrong = get_provider_info()["connection-types"]
    wrong[0]["conn-fields"]["network"]["lable"] = "Lit network"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, strict)


def test_the_entry_point_is_the_function() -> None:
    [entry] = [
        e for e in entry_points(group="apache_airflow_provider") if e.dist and e.dist.name == "lit-airflow"
    ]
    assert entry.load() is get_provider_info
    assert get_provider_info()["versions"] == [__version__]
    assert get_provider_info()["package-name"] == "lit-airflow"


def test_what_the_metadata_names_exists() -> None:
    from importlib import import_module

    info = get_provider_info()
    for part in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[part]:
            assert [import_module(name) for name in entry["python-modules"]]
    module, _, name = info["connection-types"][0]["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == ("lit", info["connection-types"][0]["hook-name"])


@pytest.mark.usefixtures("database")
def test_airflow_lists_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def listed(*command: str) -> Any:  # noqa: ANN401 - JSON
        monkeypatch.setattr(sys, "argv", ["airflow", "providers", *command, "--output", "json"])
        main()
        return json.loads(capsys.readouterr().out)

    assert "lit-airflow" in json.dumps(listed("get", "lit-airflow"))
    [hook] = [h for h in listed("hooks") if h["connection_type"] == "lit"]
    assert hook["class"] == "lit_airflow.hooks.LitHook"
    assert hook["package_name"] == "lit-airflow"
    assert hook["conn_id_attribute_name"] == "lit_conn_id"


def test_the_form_has_the_settings_and_their_defaults() -> None:
    settings = {field.name: field.default for field in dataclasses.fields(Settings)}
    assert set(fields()) == {*settings, *SECRET_FIELDS}
    for name, default in settings.items():
        described = fields()[name]["schema"]
        # Airflow masks the values of fields whose name contains api_key, and would show a default as ***.
        assert described.get("default", "") == ("" if name == "api_key_field" else default)
        wanted = {bool: "boolean", int: "integer", str: "string"}[type(default)]
        assert described["type"] == [wanted, "null"]
        assert "null" in described["type"]  # every field may be left empty
    assert [name for name in SECRET_FIELDS if "default" in fields()[name]["schema"]] == []


def test_every_field_has_a_label_and_a_sentence() -> None:
    labels = [field["label"] for field in fields().values()]
    assert len(set(labels)) == len(labels)
    assert all(field["description"].endswith(".") for field in fields().values())


def test_airflow_masks_the_secret_field_and_no_other() -> None:
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    masked = {name for name in fields() if _secrets_masker().should_hide_value_for_key(name)}
    # Airflow takes every name with "api_key" for a secret; that hides where the key is, and nothing else.
    assert masked == {*SECRET_FIELDS, "api_key_path", "api_key_field"}


@pytest.mark.parametrize(
    ("release", "hidden"), [("3.1.8", 1), ("3.3.0", 1), ("3.3.1", 0), ("3.3.2", 0), ("3.4.0", 1)]
)
def test_a_port_is_asked_for_only_where_airflows_test_needs_one(
    release: str, hidden: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    monkeypatch.setattr(metadata, "version", lambda _distribution: release)
    behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
    assert behaviour["hidden-fields"].count("port") == hidden
    assert ("port" in behaviour.get("relabeling", {})) == (not hidden)


class Widget:
    """As much of a form field as Airflow reads of it."""

    def __init__(self, label: str, description: str = "", default: object = None) -> None:
        self.label, self.description, self.default = label, description, default


class StringField(Widget):
    pass


class IntegerField(Widget):
    pass


class PasswordField(Widget):
    pass


class BooleanField(Widget):
    pass


@pytest.fixture
def form_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins, as Airflow's own API server puts them in place where the libraries are not installed."""
    wtforms, babel = types.ModuleType("wtforms"), types.ModuleType("flask_babel")
    for kind in (StringField, IntegerField, PasswordField, BooleanField):
        setattr(wtforms, kind.__name__, kind)
    babel.lazy_gettext = str  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wtforms", wtforms)
    monkeypatch.setitem(sys.modules, "flask_babel", babel)


@pytest.mark.usefixtures("form_libraries")
def test_the_form_of_airflow_3_1_agrees() -> None:
    from lit_airflow.hooks import LitHook

    widgets = LitHook.get_connection_form_widgets()
    assert list(widgets) == list(fields())
    for name, field in fields().items():
        widget = widgets[name]
        assert (widget.label, widget.description) == (field["label"], field["description"])
        assert widget.default == field["schema"].get("default")
        assert isinstance(widget, IntegerField) == ("integer" in field["schema"]["type"])
        assert isinstance(widget, BooleanField) == ("boolean" in field["schema"]["type"])
        assert isinstance(widget, PasswordField) == (field["schema"].get("format") == "password")
    # URLs of providers contain their customers' keys.
    hidden = [name for name, widget in widgets.items() if isinstance(widget, PasswordField)]
    assert sorted(hidden) == sorted(["rpc_url", "signer_url", *SECRET_FIELDS])

    behaviour = LitHook.get_ui_field_behaviour()
    jsonschema.validate(behaviour, schema("customized_form_field_behaviours.schema.json"))
    declared = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
    assert behaviour["hidden_fields"] == declared["hidden-fields"]
