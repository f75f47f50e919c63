"""The plan of a merge as a workbook in Office Open XML form.

It is written row by row while the patients are read, so the memory does not grow with the clinics.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from tempfile import TemporaryDirectory
from typing import Any

from clinic_service.resources.merges.duplicates import Duplicate, Duplicates
from clinic_service.resources.merges.facts import ClinicFacts, PatientFacts
from clinic_service.resources.merges.matching import Category
from clinic_service.resources.merges.measures import Measures
from clinic_service.resources.merges.patient_plans import PatientPlan
from clinic_service.resources.merges.planning import Planning
from clinic_service.resources.merges.summary import Cell, spelled_time, summary_rows

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# The maximum length of a text in a cell, and the characters that XML cannot contain.
_LONGEST_TEXT = 32_767
# The number of the last row of a sheet, counted from 0.
_LAST_ROW = 1_048_575
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# Text that begins with one of these becomes a formula when somebody edits the cell, unless it is marked as text.
_LIKE_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_PATIENT = ("Name", "Claimed", "User ID", "Birth Date", "MRN")
_PATIENTS_HEADER = (*_PATIENT, "Tags", "Sites", "Latest Upload (UTC)")
_WITHIN = (Category.LIKELY_DUPLICATE_ACCOUNTS, Category.MRN_ONLY, Category.NAME_ONLY)
_DUPLICATES_HEADER = (*_PATIENT, *(category.value for category in _WITHIN))
_MERGED_HEADER = ("Record", "Match", *_PATIENT, "Tags", "Sites")


def merge_workbook(planning: Planning, created_time: datetime) -> bytes:
    """The workbook's bytes."""
    # Imported here, because the library is slow to load and only this report needs it.
    import xlsxwriter

    result = BytesIO()
    # The library keeps rows in temporary files in this private folder until their sheet is complete.
    with TemporaryDirectory(prefix="clinic-service-report-") as folder:
        options = {"constant_memory": True, "tmpdir": folder}
        with xlsxwriter.Workbook(result, options) as book:
            _Report(book, planning).write(created_time)
    return result.getvalue()


class _Sheet:
    """One sheet, written from the top. Text is never turned into formulas or numbers."""

    def __init__(self, book: Any, name: str, *widths: int) -> None:
        self._sheet = book.add_worksheet(name)
        self._bold, self._quoted = book.add_format({"bold": True}), book.add_format({"quote_prefix": True})
        self._next = 0
        for column, width in enumerate(widths):
            self._sheet.set_column(column, column, width)

    def header(self, cells: Iterable[Cell]) -> None:
        """Write a row in bold, then an empty row."""
        self.row(cells, self._bold)
        self.row(())
        self._sheet.freeze_panes(2, 0)

    def row(self, cells: Iterable[Cell], style: Any = None) -> None:
        """Write the next row. Rows that the format has no room for are left out, and the last row says so."""
        if self._next >= _LAST_ROW:
            self._sheet.write_string(_LAST_ROW, 0, "Further rows are left out.")
            return
        for column, cell in enumerate(cells):
            if isinstance(cell, int):
                self._sheet.write_number(self._next, column, cell, style)
            elif cell:
                text = _NOT_IN_XML.sub("\ufffd", str(cell))[:_LONGEST_TEXT]
                quoted = self._quoted if text.startswith(_LIKE_A_FORMULA) else style
                self._sheet.write_string(self._next, column, text, quoted)
        self._next += 1


class _Report:
    """The sheets in their order. The sheets of patients are written while the patients are read, the others afterwards."""

    def __init__(self, book: Any, planning: Planning) -> None:
        self._planning, self._plan = planning, planning.plan
        self._measures = Measures(planning.plan)
        self._summary = _Sheet(book, "Summary", 32, 40, 28, 28)
        wide = (28, 9, 38, 12, 16, 30, 30, 22)
        self._source = _Sheet(book, "Patients in Source Clinic", *wide)
        self._target = _Sheet(book, "Patients in Target Clinic", *wide)
        within = (28, 9, 38, 12, 16, 42, 42, 42)
        self._source_duplicates = _Sheet(book, "Duplicates in Source Clinic", *within)
        self._target_duplicates = _Sheet(book, "Duplicates in Target Clinic", *within)
        self._merged = _Sheet(book, "Duplicates in Merged Workspace", 10, 26, *wide[:7])

    def write(self, created_time: datetime) -> None:
        """Write all sheets."""
        self._write_source()
        self._write_target()
        for row in summary_rows(self._plan, self._measures, created_time):
            self._summary.row(row)

    def _write_source(self) -> None:
        self._source.header(_PATIENTS_HEADER)
        self._merged.header(_MERGED_HEADER)
        duplicates = Duplicates()
        for page in self._planning.source_patients():
            self._measures.add(page)
            self._write_patients(self._source, self._plan.source, page)
            self._collect(duplicates, self._plan.source, page)
            for one in page:
                self._write_conflicts(one)
        _write_duplicates(self._source_duplicates, duplicates)

    def _write_target(self) -> None:
        self._target.header(_PATIENTS_HEADER)
        duplicates = Duplicates()
        for page in self._planning.target_patients():
            self._measures.add(page)
            self._write_patients(self._target, self._plan.target, page)
            self._collect(duplicates, self._plan.target, page)
        _write_duplicates(self._target_duplicates, duplicates)

    def _write_patients(self, sheet: _Sheet, clinic: ClinicFacts, page: Sequence[PatientPlan]) -> None:
        patients = [one.patient for one in page]
        uploads = self._planning.last_uploads(clinic.id, patients)
        names = _Names(clinic)
        for one in patients:
            upload = uploads.get(one.id)
            sheet.row((*_patient(one), *names.of(one), spelled_time(upload) if upload else None))

    def _collect(self, duplicates: Duplicates, clinic: ClinicFacts, page: Sequence[PatientPlan]) -> None:
        patients = [one.patient for one in page]
        duplicates.add(patients, self._planning.within(clinic.id, patients))

    def _write_conflicts(self, plan: PatientPlan) -> None:
        """Write a row for the patient of the source, then rows for the records of the target that match it."""
        if not plan.conflicts:
            return
        self._merged.row(("Source", None, *_patient(plan.patient), *_Names(self._plan.source).of(plan.patient)))
        for category, other in plan.conflicts:
            if category is Category.DUPLICATE_ACCOUNTS:
                tags_and_sites = (", ".join(plan.tags), ", ".join(plan.sites))
                self._merged.row(("Result", category, *_patient(other), *tags_and_sites))
            else:
                self._merged.row(("Review", category, *_patient(other)))
        self._merged.row(())


class _Names:
    """The current names of a clinic's tags and sites."""

    def __init__(self, clinic: ClinicFacts) -> None:
        self._tags: Mapping[str, str] = {tag.id: tag.name for tag in clinic.tags}
        self._sites: Mapping[str, str] = {site.id: site.name for site in clinic.sites}

    def of(self, patient: PatientFacts) -> tuple[str, str]:
        """The cells for the tags and the sites of a patient of the clinic."""
        tags, sites = (self._tags[one] for one in patient.tag_ids), (self._sites[one] for one in patient.site_ids)
        return ", ".join(tags), ", ".join(sites)


def _patient(patient: PatientFacts) -> tuple[str | None, ...]:
    claimed = "-" if patient.is_custodial else "Y"
    return patient.full_name, claimed, patient.user_id, patient.birth_date, patient.mrn


def _write_duplicates(sheet: _Sheet, duplicates: Duplicates) -> None:
    """Write a row for each patient, with an empty row between groups."""
    sheet.header(_DUPLICATES_HEADER)
    for group in duplicates.groups():
        for one in group:
            sheet.row((*_patient(one.patient), *(_user_ids(one, category) for category in _WITHIN)))
        sheet.row(())


def _user_ids(duplicate: Duplicate, category: Category) -> str:
    return ", ".join(conflict.patient.user_id for conflict in duplicate.conflicts if conflict.category is category)
