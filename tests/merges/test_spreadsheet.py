"""The workbook of a merge report, opened again by a reader that did not write it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from zipfile import ZipFile

import pytest
from openpyxl import load_workbook
from openpyxl.workbook import Workbook

from clinic_service.db.engine import Database
from clinic_service.models import Clinic
from clinic_service.resources.merges.planning import Planning
from clinic_service.resources.merges.spreadsheet import merge_workbook
from clinic_service.unit_of_work import UnitOfWork, reading
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, Somebody
from tests.support.invites import make_pending
from tests.support.merges import FRANK, Pair, make_full_pair, make_pair
from tests.support.rows import (
    make_clinician,
    make_patient,
    make_restriction,
    make_site,
    make_tag,
    place_patient,
    storing,
    tag_patient,
)
from tests.support.summaries import cgm_stats, dates, put_summaries

pytestmark = pytest.mark.one_engine

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SHEETS = [
    "Summary",
    "Patients in Source Clinic",
    "Patients in Target Clinic",
    "Duplicates in Source Clinic",
    "Duplicates in Target Clinic",
    "Duplicates in Merged Workspace",
]
Fill = Callable[[UnitOfWork, Clinic, Clinic], None]


def made(database: Database, pair: Pair, demo_user_id: str | None = None) -> bytes:
    with reading(database) as unit, unit.snapshot():
        return merge_workbook(Planning(unit, pair.source, pair.target, demo_user_id), NOW)


def opened(database: Database, fill: Fill | None = None, demo_user_id: str | None = None) -> Workbook:
    """The report on two clinics that `fill` is called with; on the full ones without it."""
    with storing(database) as unit:
        if fill is None:
            pair = make_full_pair(unit)
        else:
            pair = make_pair(unit)
            fill(unit, unit.clinics.get(pair.source), unit.clinics.get(pair.target))
    return load_workbook(BytesIO(made(database, pair, demo_user_id)))


def rows(book: Workbook, sheet: str) -> list[list[Any]]:
    """The rows of a sheet without the empty cells at their ends."""
    found = [list(row) for row in book[sheet].iter_rows(values_only=True)]
    for row in found:
        while row and row[-1] is None:
            row.pop()
    return found


def block(book: Workbook, title: str) -> list[list[Any]]:
    """The rows of the summary from the one that begins like this up to the next empty one."""
    summary = rows(book, "Summary")
    start = next(number for number, row in enumerate(summary) if row and row[0].startswith(title))
    end = next((number for number, row in enumerate(summary) if number > start and not row), len(summary))
    return summary[start:end]


def test_sheets_stand_in_their_order(database: Database) -> None:
    assert opened(database).sheetnames == SHEETS


class TestSummary:
    def test_tells_what_is_merged_and_whether_it_can_be(self, database: Database) -> None:
        book = opened(database)
        assert [row[:2] for row in block(book, "Generated")] == [
            ["Generated (UTC)", "2026-03-02 09:30:00"],
            ["Source Clinic", "Hilltop"],
            ["Target Clinic", "Harbour"],
        ]
        assert block(book, "Can Be Merged") == [["Can Be Merged", "Yes"]]

    def test_gives_all_reasons_that_rule_it_out(self, database: Database) -> None:
        def fill(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
            source.mrn_required = target.mrn_required = True
            source.timezone = "Europe/Oslo"
            for person in (CAROL, DAVE):
                make_patient(unit, source, person)
            make_pending(unit, source, ERIN)

        verdict, *reasons = block(opened(database, fill), "Can Be Merged")
        assert verdict == ["Can Be Merged", "No"]
        assert [row[0] for row in reasons] == ["Reason"] * 3
        assert [row[2] for row in reasons] == ["SETTINGS_MISMATCH", "PENDING_INVITES", "MRN_REQUIRED"]

    def test_compares_settings(self, database: Database) -> None:
        def fill(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
            source.mrn_unique, source.preferred_bg_units = True, None
            source.timezone = target.timezone = "America/New_York"
            make_restriction(unit, source, "hilltop.example", "idp")
            make_restriction(unit, target, "harbour.example")

        assert block(opened(database, fill), "Settings") == [
            ["Settings", "Match", "Source Clinic", "Target Clinic"],
            ["Partial SSO", "No", "hilltop.example (idp)", "harbour.example"],
            ["MRN Required", "Yes", "false", "false"],
            ["MRN Unique", "No", "true", "false"],
            ["Glucose Units", "Yes", "mg/dL", "mg/dL"],
            ["Time Zone", "Yes", "America/New_York", "America/New_York"],
        ]

    def test_counts(self, database: Database) -> None:
        assert block(opened(database), "Resulting Members") == [
            ["Resulting Members", 3],
            ["Resulting Admins", 2],
            ["Downgraded Members", 1],
            ["Resulting Tags", 3],
            ["Duplicate Tags", 1],
            ["Resulting Sites", 4],
            ["Renamed Sites", 1],
            ["Resulting Patients", 4],
            ["Duplicate Accounts", 1],
            ["Likely Duplicate Accounts", 1],
            ["MRN Only Match", 0],
            ["Name Only Match", 0],
        ]

    def test_lists_members_tags_and_sites_that_result(self, database: Database) -> None:
        book = opened(database)
        people = {person.id: [person.name, person.email, person.id] for person in (ALICE, BOB, ERIN)}
        assert block(book, "Resulting Admins (") == [
            ["Resulting Admins (2) ---"],
            people[ALICE.id],
            people[ERIN.id],
        ]
        assert block(book, "Resulting Members (") == [
            ["Resulting Members (3) ---"],
            people[ALICE.id],
            [*people[BOB.id], "Downgraded"],
            people[ERIN.id],
        ]
        assert block(book, "Resulting Tags (") == [
            ["Resulting Tags (3) ---"],
            ["Own", "target", "Retain"],
            ["PUMP", "both", "Retain"],
            ["Trial", "source", "Create"],
        ]
        assert block(book, "Resulting Sites (") == [
            ["Resulting Sites (4) ---"],
            ["East", "target", "Retain"],
            ["North", "source", "Create"],
            ["WEST", "target", "Retain"],
            ["West (2)", "source", "Rename"],
        ]

    def test_lists_pending_invitations_of_each_clinic(self, database: Database) -> None:
        def fill(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
            make_pending(unit, source, ERIN, "CLINIC_ADMIN", "PRESCRIBER")
            make_pending(unit, target, MALLORY)
            make_pending(unit, target, BOB)

        book = opened(database, fill)
        assert block(book, "Pending Invites in Source") == [
            ["Pending Invites in Source Clinic (1) ---"],
            [ERIN.email, "CLINIC_ADMIN, PRESCRIBER"],
        ]
        assert block(book, "Pending Invites in Target") == [
            ["Pending Invites in Target Clinic (2) ---"],
            [BOB.email, "CLINIC_MEMBER"],
            [MALLORY.email, "CLINIC_MEMBER"],
        ]


class TestPatients:
    HEADER = ["Name", "Claimed", "User ID", "Birth Date", "MRN", "Tags", "Sites", "Latest Upload (UTC)"]  # noqa: RUF012

    def test_have_a_row_each_in_order_of_their_names(self, database: Database) -> None:
        def fill(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
            pump, trial = make_tag(unit, source, "Pump"), make_tag(unit, source, "Trial")
            west, east = make_site(unit, source, "West"), make_site(unit, source, "East")
            carol = make_patient(unit, source, CAROL, "custodian", mrn="M-1", mrn_key="m-1")
            tag_patient(unit, carol, trial, pump)
            place_patient(unit, carol, west, east)
            make_patient(unit, source, MALLORY, full_name=None, birth_date=None)
            make_patient(unit, target, FRANK)
            uploaded = dates(Random(1), lastUploadDate="2026-02-03T04:05:06.789Z")
            put_summaries(unit, CAROL, cgmStats=cgm_stats(Random(1), dates=uploaded))

        book = opened(database, fill)
        assert rows(book, "Patients in Source Clinic") == [
            self.HEADER,
            [],
            [None, "Y", MALLORY.id],
            [CAROL.name, "-", CAROL.id, "1987-04-12", "M-1", "Pump, Trial", "West, East", "2026-02-03 04:05:06"],
        ]
        assert rows(book, "Patients in Target Clinic") == [self.HEADER, [], [FRANK.name, "Y", FRANK.id, "1987-04-12"]]

    def test_leave_out_the_demo_patient(self, database: Database) -> None:
        def fill(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
            for clinic in (source, target):
                make_patient(unit, clinic, MALLORY)
                make_patient(unit, clinic, CAROL)

        book = opened(database, fill, MALLORY.id)
        for sheet in SHEETS[1:]:
            assert MALLORY.id not in {cell for row in rows(book, sheet) for cell in row}
        assert ["Resulting Patients", 1] in rows(book, "Summary")


class TestDuplicates:
    def test_within_a_clinic_stand_in_groups_that_hang_together(self, database: Database) -> None:
        """Carol shares her name with Dave, and Dave his number with Erin."""

        def fill(unit: UnitOfWork, source: Clinic, _target: Clinic) -> None:
            make_patient(unit, source, CAROL, full_name="Ann", birth_date="2000-01-01")
            make_patient(unit, source, DAVE, full_name=" ANN", birth_date="2000-01-01", mrn="A", mrn_key="a")
            make_patient(unit, source, ERIN, full_name="Bea", birth_date="1999-01-01", mrn="a", mrn_key="a")
            for person in (ALICE, BOB):
                make_patient(unit, source, person, full_name="Cy", birth_date=None)
            make_patient(unit, source, MALLORY, full_name="Dot", birth_date="1999-01-01")

        book = opened(database, fill)
        header, empty, *found = rows(book, "Duplicates in Source Clinic")
        assert header[5:] == ["Likely Duplicate Accounts", "MRN Only Match", "Name Only Match"]
        assert empty == []
        ids = [[row[2], *row[5:]] if row else [] for row in found]
        assert ids == [
            [DAVE.id, CAROL.id, ERIN.id],
            [CAROL.id, DAVE.id],
            [ERIN.id, None, DAVE.id],
            [],
            [ALICE.id, None, None, BOB.id],
            [BOB.id, None, None, ALICE.id],
        ]
        assert rows(book, "Duplicates in Target Clinic") == [header]

    def test_in_the_result_show_the_record_that_stays_and_those_to_look_at(self, database: Database) -> None:
        book = opened(database)
        header, empty, *found = rows(book, "Duplicates in Merged Workspace")
        assert header[:3] == ["Record", "Match", "Name"]
        assert empty == []
        carol, frank, between, dave, result = [[row[i] for i in (0, 1, 4)] if row else [] for row in found]
        assert carol == ["Source", None, CAROL.id]
        assert frank == ["Review", "Likely Duplicate Accounts", FRANK.id]
        assert between == []
        assert dave == ["Source", None, DAVE.id]
        assert result == ["Result", "Duplicate Accounts", DAVE.id]
        assert found[4][6:] == ["M-3", "Own, PUMP, Trial", "East, WEST, West (2)"]


NASTY = [
    '=HYPERLINK("https://evil.example","look")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "https://evil.example",
    "<b>&amp;",
    "  spaced  ",
    "ÅØ “é” 漢字 🙂",
]


class TestText:
    @pytest.mark.parametrize("name", NASTY)
    def test_is_shown_as_it_is_and_never_calculated(self, database: Database, name: str) -> None:
        def fill(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
            target.name = name
            make_patient(unit, source, CAROL, full_name=name, mrn=name)
            make_clinician(unit, target, ALICE, "CLINIC_ADMIN", name=name)
            make_tag(unit, source, name)
            place_patient(unit, make_patient(unit, target, DAVE), make_site(unit, target, name))

        book = opened(database, fill)
        cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
        assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
        assert [cell for cell in cells if cell.hyperlink] == []
        shown = [cell for cell in cells if cell.value == name]
        assert len(shown) >= 6
        # Otherwise the text would become a formula when somebody edits the cell.
        is_like_one = name[0] in "=+-@\t"
        assert {bool(cell.quotePrefix) for cell in shown} == {is_like_one}

    @pytest.mark.parametrize("character", ["\x01", "\x0b", "\x1f", "\ufffe", "\uffff"])
    def test_of_characters_that_no_xml_document_can_have_is_shown_without_them(
        self, database: Database, character: str
    ) -> None:
        def fill(unit: UnitOfWork, source: Clinic, _target: Clinic) -> None:
            make_patient(unit, source, CAROL, full_name=f"Carol{character}Cooper")

        assert rows(opened(database, fill), "Patients in Source Clinic")[2][0] == "Carol\ufffdCooper"

    def test_that_looks_like_an_escaped_character_is_escaped(self, database: Database) -> None:
        with storing(database) as unit:
            pair = make_pair(unit)
            make_patient(unit, unit.clinics.get(pair.source), CAROL, full_name="_x0041_")
        with ZipFile(BytesIO(made(database, pair))) as book:
            assert b">_x005F_x0041_<" in book.read("xl/worksheets/sheet2.xml")

    def test_is_cut_where_a_cell_ends(self, database: Database) -> None:
        def fill(unit: UnitOfWork, source: Clinic, _target: Clinic) -> None:
            patient = make_patient(unit, source, CAROL)
            place_patient(unit, patient, *(make_site(unit, source, f"{number:0200d}") for number in range(200)))

        assert len(rows(opened(database, fill), "Patients in Source Clinic")[2][6]) == 32_767


def test_nothing_is_left_in_the_folder_for_temporary_files(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither after a report nor when it fails: there are names of patients in these files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with storing(database) as unit:
        pair = make_full_pair(unit)
    assert ZipFile(BytesIO(made(database, pair))).testzip() is None
    monkeypatch.setattr(Planning, "target_patients", lambda _self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made(database, pair)
    assert list(tmp_path.iterdir()) == []


def test_many_records_of_one_name_do_not_make_the_report_grow_as_their_square(database: Database) -> None:
    def fill(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
        for number in range(150):
            person = Somebody(f"{number:010x}", "Test Patient", "")
            make_patient(unit, source, person, email=None)
            make_patient(unit, target, person._replace(id=f"f{number:09x}"), email=None)

    book = opened(database, fill)
    assert len(rows(book, "Duplicates in Merged Workspace")) == 1 + 1 + 150 * (1 + 100 + 1) - 1
    listed = rows(book, "Duplicates in Source Clinic")[2][5]
    assert len(listed.split(", ")) == 100


def test_the_library_is_loaded_by_a_report_and_not_by_the_server() -> None:
    program = "import sys, clinic_service.app, clinic_service.resources.merges.spreadsheet; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "clinic_service.resources.merges.spreadsheet" in ran.stdout.split()
    assert "xlsxwriter" not in ran.stdout.split()
