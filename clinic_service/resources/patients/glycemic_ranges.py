"""A patient's glycemic ranges as they are stored: only the part that the type names, with all defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinic_service.resources.patients.errors import CustomRangesMissing

_PRESET = "preset"
_CUSTOM = "custom"
_DEFAULT_PRESET = "adaStandard"


def kept_ranges(given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, a valid `glycemicRangesInput.v1`, without the branch that its type does not name.

    Raises CustomRangesMissing.
    """
    if given.get("type", _PRESET) == _PRESET:
        return {"type": _PRESET, _PRESET: given.get(_PRESET, _DEFAULT_PRESET)}
    if _CUSTOM not in given:
        raise CustomRangesMissing
    custom = given[_CUSTOM]
    thresholds = [_threshold(threshold) for threshold in custom["thresholds"]]
    return {"type": _CUSTOM, _CUSTOM: {"name": custom["name"], "thresholds": thresholds}}


def _threshold(given: Mapping[str, Any]) -> dict[str, Any]:
    bound = given["upperBound"]
    return {
        "name": given["name"],
        "upperBound": {"value": bound["value"], "units": bound["units"]},
        "inclusive": given.get("inclusive", False),
    }
