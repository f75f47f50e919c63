"""Results/New: tells the health record system whether an order was carried out."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from clinic_service.resources.ehr.redox.members import text
from clinic_service.resources.ehr.redox.outgoing import Envelope


class ResultKind(StrEnum):
    """The kind of a result; the value is the code of the result."""

    MATCHING = "MATCHING_RESULT"
    ACCOUNT_CREATION = "ACCOUNT_CREATION_RESULT"


_SUCCESS = "SUCCESS"
_FAILURE = "FAILURE"


def results(envelope: Envelope, kind: ResultKind, *, succeeded: bool, explanation: str) -> dict[str, Any]:
    """The message with the two results of an order: success or failure, and a sentence for the staff of the clinic."""
    return envelope.message(
        "Results",
        "New",
        Orders=[
            {
                "ID": text(envelope.order, "Order", "ID"),
                "Status": "Resulted",
                "ResultsStatus": "Final",
                "Results": [
                    _result(kind, _SUCCESS if succeeded else _FAILURE),
                    _result(f"{kind}_MESSAGE", explanation),
                ],
            }
        ],
    )


def _result(code: str, value: str) -> dict[str, str]:
    return {"Code": code, "Value": value, "ValueType": "String", "Status": "Final"}
