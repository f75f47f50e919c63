"""The forms that Xealth shows before an order. Their texts are in `forms.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_FILE = "forms.yaml"
# The name in `forms.yaml` for the member with the person's data.
_PERSON = "person"


class Form(StrEnum):
    """The person that the form asks about: the patient, or the guardian of a child."""

    PATIENT = "patient"
    GUARDIAN = "guardian"


class FormError(StrEnum):
    """The reason why an order cannot be placed: an invalid input, or an address or a number that is already in use."""

    GENERAL = "general"
    DUPLICATE_ADDRESS = "duplicate_address"
    BIRTH_DATE_MISMATCH = "birth_date_mismatch"


def enrolment_form(
    form: Form, tracking_id: str, full_name: str, email: str | None, tags: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """The form for a new patient, as `xealthPreorderForm.v1`.

    `email` is the initial value of the address; a guardian's address is never known. `tags` are the ids and names of the
    clinic's tags, sorted by name.
    """
    parts = _merged(_texts()["enrolment"], _texts()[form])
    schema, ui = _renamed(parts["formSchema"], form), _renamed(parts["uiSchema"], form)
    schema["title"] = schema["title"].replace("{name}", full_name)
    schema["definitions"] = {"tags": _definition(tags)}
    schema["properties"]["tags"] = {**schema["properties"]["tags"], "type": "object" if tags else "null"}
    ui["tags"] = {**ui["tags"], "ui:widget": "object" if tags else "hidden"}
    begin = {"email": email} if email and form is Form.PATIENT else {}
    return _answer(tracking_id, parts["formId"], schema, ui, {form.value: begin})


def error_form(
    error: FormError, tracking_id: str, entered: Mapping[str, Any], tags: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """The form that shows why the order cannot be placed. It repeats the input, `entered`."""
    texts = _texts()["error"]
    paragraphs = {f"error_{number}": text for number, text in enumerate(texts["paragraphs"][error])}
    schema = {
        "type": "object",
        "title": texts["title"],
        "definitions": {"tags": _definition(tags)},
        "properties": {name: {"type": "null", "title": " ", "description": text} for name, text in paragraphs.items()},
    }
    ui = {"tags": {}, "ui:order": list(paragraphs)}
    return _answer(tracking_id, texts["formId"], schema, ui, entered, is_final=True)


def _answer(
    tracking_id: str, form_id: str, schema: Any, ui: Any, data: Mapping[str, Any], *, is_final: bool = False
) -> dict[str, Any]:
    form = {"formId": form_id, "formSchema": schema, "uiSchema": ui, "formData": data}
    return {"dataTrackingId": tracking_id, "notOrderable": is_final, "preorderFormInfo": form}


def _definition(tags: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The values that can be chosen; without tags an empty object, because an empty list of values is not valid."""
    return {"enum": [tag_id for tag_id, _ in tags], "enumNames": [name for _, name in tags]} if tags else {}


@cache
def _texts() -> Any:
    return yaml.safe_load((files(__package__) / _FILE).read_text(encoding="utf-8"))


def _merged(first: Any, second: Any) -> Any:
    """A deep merge of both objects. The arguments are not changed."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return second
    added = {name: _merged(first[name], value) if name in first else value for name, value in second.items()}
    return {**first, **added}


def _renamed(part: Any, form: Form) -> Any:
    """A copy of `part` in which the person's member has the name that the form uses."""
    if isinstance(part, dict):
        return {_name(name, form): _renamed(value, form) for name, value in part.items()}
    if isinstance(part, list):
        return [_name(value, form) if isinstance(value, str) else value for value in part]
    return part


def _name(name: str, form: Form) -> str:
    return form.value if name == _PERSON else name
