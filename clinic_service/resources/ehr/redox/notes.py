"""Notes/New and Notes/Replace: the report of a patient as a document in the health record."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clinic_service.resources.ehr.redox.flowsheet import GMI
from clinic_service.resources.ehr.redox.members import text
from clinic_service.resources.ehr.redox.outgoing import Envelope

DOCUMENT_TYPE = "Tidepool Report"
FILE_NAME = "report.pdf"
_REPLACEABLE_FOR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class NoteContent:
    """The content of a note: the report itself, or the address to which it was uploaded."""

    contents: str
    content_type: str

    @classmethod
    def inline(cls, pdf: bytes) -> NoteContent:
        """The report itself."""
        return cls(base64.b64encode(pdf).decode("ascii"), "Base64 Encoded")

    @classmethod
    def uploaded(cls, uri: str) -> NoteContent:
        """The address of the uploaded report."""
        return cls(uri, "Plain Text")


def note(
    envelope: Envelope,
    document_id: str,
    content: NoteContent,
    *,
    replaces: str | None = None,
    management_indicator: str | None = None,
) -> dict[str, Any]:
    """The message with the report.

    `replaces` is the id of the document that it replaces. `management_indicator`, in percent, is added as a component.
    """
    members: dict[str, Any] = {
        "DocumentType": DOCUMENT_TYPE,
        "DocumentID": document_id,
        "FileName": FILE_NAME,
        "FileType": "PDF",
        "FileContents": content.contents,
        "ContentType": content.content_type,
    }
    provider = text(envelope.order, "Order", "Provider", "ID")
    if provider:
        members["Provider"] = {"ID": provider}
    if management_indicator is not None:
        members["Components"] = [_component(management_indicator)]
    if replaces is None:
        return envelope.message("Notes", "New", Note=members)
    return envelope.message("Notes", "Replace", Note=members | {"OriginalDocumentID": replaces})


def may_replace(preceding: datetime, present: datetime) -> bool:
    """Whether a report of the time `present` may replace the report of the time `preceding`."""
    return present - preceding <= _REPLACEABLE_FOR


def _component(management_indicator: str) -> dict[str, Any]:
    return {"ID": GMI.code, "Name": GMI.description, "Value": management_indicator, "Units": GMI.unit}
