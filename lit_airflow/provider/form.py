"""The connection form of Airflow 3.1, from the ``provider.yaml`` that later releases read themselves."""

from __future__ import annotations

from typing import Any


def widgets() -> dict[str, Any]:
    """Return the form's fields: name -> wtforms field."""
    from flask_babel import lazy_gettext  # noqa: PLC0415 - the API server provides it
    from wtforms import BooleanField, IntegerField, PasswordField, StringField  # noqa: PLC0415 - the same

    found = {}
    for name, field in _form()["conn-fields"].items():
        schema = field["schema"]
        if "integer" in schema["type"]:
            kind = IntegerField
        elif "boolean" in schema["type"]:
            kind = BooleanField
        else:
            kind = PasswordField if schema.get("format") == "password" else StringField
        found[name] = kind(
            lazy_gettext(field["label"]), description=field["description"], default=schema.get("default")
        )
    return found


def field_behaviour() -> dict[str, Any]:
    """Return which of Airflow's own fields the form hides."""
    return {
        "hidden_fields": _form()["ui-field-behaviour"]["hidden-fields"],
        "relabeling": {},
        "placeholders": {},
    }


def _form() -> dict[str, Any]:
    from lit_airflow import get_provider_info  # noqa: PLC0415 - reads a file; only the API server asks

    form: dict[str, Any] = get_provider_info()["connection-types"][0]
    return form
