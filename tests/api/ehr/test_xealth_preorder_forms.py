"""XealthPreorder: the forms as they are shown, all variants of them."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.resources.ehr.xealth.forms import Form, FormError, enrolment_form, error_form

TAGS = [("65f1c0de0a1b2c3d4e5f6a01", "Adults"), ("65f1c0de0a1b2c3d4e5f6a02", "pump")]
ID = "0b7c1c5e"


def parts(answer: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Schema, layout and data of a form."""
    form = answer["preorderFormInfo"]
    return form["formSchema"], form["uiSchema"], form["formData"]


def without_texts(value: Any) -> Any:
    """`value` with a mark in place of each text for people that is not empty."""
    if isinstance(value, dict):
        return {
            name: "…"
            if name in ("title", "description", "ui:help") and inner and inner != " "
            else without_texts(inner)
            for name, inner in value.items()
        }
    return value


def consent() -> dict[str, Any]:
    return {"title": "…", "description": "", "type": "boolean"}


def schema_of(person: str, members: dict[str, Any], tags: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
    """The schema that an enrolment form must have."""
    return {
        "type": "object",
        "title": "…",
        "description": "…",
        "definitions": {"tags": definition},
        "properties": {
            person: {
                "type": "object",
                "title": "",
                **members,
                "dependencies": {"email": {"properties": {"connectAbbott": consent(), "connectDexcom": consent()}}},
            },
            "tags": {
                **tags,
                "title": "",
                "properties": {
                    "ids": {
                        "title": "…",
                        "description": "",
                        "type": "array",
                        "uniqueItems": True,
                        "items": {"$ref": "#/definitions/tags"},
                    }
                },
            },
        },
    }


EMAIL = {"title": "…", "description": "…", "type": "string", "format": "email"}
PATIENT = {"properties": {"email": EMAIL}}
GUARDIAN = {
    "required": ["firstName", "lastName"],
    "properties": {
        "firstName": {"title": "…", "type": "string"},
        "lastName": {"title": "…", "type": "string"},
        "email": EMAIL,
    },
}
HELP = {"connectAbbott": {"ui:help": "…"}, "connectDexcom": {"ui:help": "…"}}
WIDGET = {"ids": {"ui:widget": "CheckboxesWidget"}}


class TestEnrolment:
    def test_of_a_patient_where_the_clinic_has_no_tags(self) -> None:
        answer = enrolment_form(Form.PATIENT, ID, "Carol Cooper", "carol@mail.example", [])
        assert (answer["dataTrackingId"], answer["notOrderable"]) == (ID, False)
        assert answer["preorderFormInfo"]["formId"] == "patient_enrollment_form"
        schema, ui, data = parts(answer)
        assert schema["title"] == "Add Carol Cooper to Tidepool"
        assert without_texts(schema) == schema_of("patient", PATIENT, {"type": "null"}, {})
        assert without_texts(ui) == {
            "ui:order": ["patient", "tags"],
            "patient": HELP,
            "tags": {**WIDGET, "ui:widget": "hidden"},
        }
        assert data == {"patient": {"email": "carol@mail.example"}}

    def test_of_a_patient_where_the_clinic_has_tags(self) -> None:
        schema, ui, data = parts(enrolment_form(Form.PATIENT, ID, "Carol Cooper", None, TAGS))
        definition = {"enum": [TAGS[0][0], TAGS[1][0]], "enumNames": ["Adults", "pump"]}
        assert without_texts(schema) == schema_of("patient", PATIENT, {"type": "object"}, definition)
        assert ui["tags"] == {**WIDGET, "ui:widget": "object"}
        assert data == {"patient": {}}

    def test_of_a_guardian_where_the_clinic_has_no_tags(self) -> None:
        answer = enrolment_form(Form.GUARDIAN, ID, "Cody Cooper", "cody@mail.example", [])
        assert answer["preorderFormInfo"]["formId"] == "guardian_enrollment_form"
        schema, ui, data = parts(answer)
        assert schema["title"] == "Add Cody Cooper to Tidepool"
        assert without_texts(schema) == schema_of("guardian", GUARDIAN, {"type": "null"}, {})
        order = ["firstName", "lastName", "email", "connectAbbott", "connectDexcom"]
        assert without_texts(ui) == {
            "ui:order": ["guardian", "tags"],
            "guardian": {**HELP, "ui:order": order},
            "tags": {**WIDGET, "ui:widget": "hidden"},
        }
        # The address in the demographics is the child's.
        assert data == {"guardian": {}}

    def test_of_a_guardian_where_the_clinic_has_tags(self) -> None:
        schema, ui, _ = parts(enrolment_form(Form.GUARDIAN, ID, "Cody Cooper", None, TAGS))
        definition = {"enum": [TAGS[0][0], TAGS[1][0]], "enumNames": ["Adults", "pump"]}
        assert without_texts(schema) == schema_of("guardian", GUARDIAN, {"type": "object"}, definition)
        assert ui["tags"]["ui:widget"] == "object"

    def test_of_a_guardian_says_that_an_adult_must_claim_the_account(self) -> None:
        words = [
            parts(enrolment_form(form, ID, "C", None, []))[0]["description"] for form in (Form.PATIENT, Form.GUARDIAN)
        ]
        assert ["claimed by an adult" in text for text in words] == [False, True]

    def test_markup_in_a_name_is_shown_as_text(self) -> None:
        odd = "{name} $name \\1 </script>\" 'quoted'"
        assert parts(enrolment_form(Form.PATIENT, ID, odd, None, []))[0]["title"] == f"Add {odd} to Tidepool"

    def test_one_form_leaves_nothing_in_the_next(self) -> None:
        first = enrolment_form(Form.PATIENT, ID, "Carol Cooper", None, [])
        for form in Form:
            enrolment_form(form, ID, "Dave Draper", "dave@mail.example", TAGS)
        assert enrolment_form(Form.PATIENT, ID, "Carol Cooper", None, []) == first


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "paragraphs"),
        [(FormError.GENERAL, 1), (FormError.DUPLICATE_ADDRESS, 4), (FormError.BIRTH_DATE_MISMATCH, 4)],
    )
    @pytest.mark.parametrize("tags", [[], TAGS], ids=["no tags", "tags"])
    def test_each_has_its_paragraphs(self, error: FormError, paragraphs: int, tags: list[tuple[str, str]]) -> None:
        entered = {"patient": {"email": "carol at mail.example"}}
        answer = error_form(error, ID, entered, tags)
        assert (answer["dataTrackingId"], answer["notOrderable"]) == (ID, True)
        assert answer["preorderFormInfo"]["formId"] == "error_form"
        schema, ui, data = parts(answer)
        names = [f"error_{number}" for number in range(paragraphs)]
        assert ui == {"tags": {}, "ui:order": names}
        assert data == entered
        definition = {"enum": [TAGS[0][0], TAGS[1][0]], "enumNames": ["Adults", "pump"]} if tags else {}
        assert without_texts(schema) == {
            "type": "object",
            "title": "…",
            "definitions": {"tags": definition},
            "properties": {name: {"type": "null", "title": " ", "description": "…"} for name in names},
        }

    @pytest.mark.parametrize("error", [FormError.DUPLICATE_ADDRESS, FormError.BIRTH_DATE_MISMATCH])
    def test_what_needs_help_says_where_to_get_it(self, error: FormError) -> None:
        schema, _, _ = parts(error_form(error, ID, {}, []))
        assert "support@tidepool.org" in schema["properties"]["error_3"]["description"]

    def test_each_says_something_else(self) -> None:
        texts = [str(parts(error_form(error, ID, {}, []))[0]["properties"]) for error in FormError]
        assert len(set(texts)) == 3
