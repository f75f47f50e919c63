"""`audit verify` finds what was removed, changed, put elsewhere or cut off, and says where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, text, update

from clinic_service import clock
from clinic_service.audit.files import list_files
from clinic_service.audit.log import AuditLog
from clinic_service.audit.record import AuditRecord, Outcome
from clinic_service.audit.repository import Choice
from clinic_service.audit.sealing import Sealer
from clinic_service.cli.audit import audit
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import AuditChain, AuditEntry
from clinic_service.unit_of_work import UnitOfWork, run, writing
from tests.support.cast import ALICE
from tests.support.clocks import NOW, Pauses

Run = Callable[..., Result]
CLINICS = ("65f1c0de0a1b2c3d4e5f6a7b", "75f1c0de0a1b2c3d4e5f6a7b")


def record(number: int) -> AuditRecord:
    return AuditRecord(
        clock.now(),
        f"request-{number}",
        "UpdateTier",
        Outcome.ALLOWED,
        200,
        ALICE.id,
        "person",
        clinic=CLINICS[number % 2],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def sealer(database: Database, folder: Path) -> Iterator[Sealer]:
    with closing(AuditLog(folder)) as log:
        yield Sealer(database, log, keep_days=30)


@pytest.fixture
def verify(config: Config, folder: Path) -> Run:
    def call(*arguments: str, **env: str) -> Result:
        settings = {"CLINIC_DATABASE_URL": config.database_url, "CLINIC_AUDIT_FOLDER": str(folder)} | env
        return CliRunner().invoke(audit, arguments or ["verify"], env=settings)

    return call


def store(database: Database, *numbers: int) -> None:
    for number in numbers:
        with writing(database) as unit:
            unit.audit.add(record(number))


def test_rows_gather_after_a_batch_that_is_not_full(sealer: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = iter([500, 1, 0])
    monkeypatch.setattr(sealer, "seal", lambda: next(batches))
    sealer.run(Pauses(1))
    assert list(batches) == [0]


class TestRows:
    @pytest.fixture(autouse=True)
    def _sealed(self, database: Database, sealer: Sealer) -> None:
        store(database, *range(6))
        assert sealer.seal() == 6

    def test_are_intact(self, verify: Run) -> None:
        assert verify().exit_code == 0
        assert "Row 6 has the hash" in verify().output

    def test_of_later_batches_follow(self, verify: Run, database: Database, sealer: Sealer) -> None:
        store(database, *range(6, 9))
        assert (sealer.seal(), sealer.seal()) == (3, 0)
        assert "Row 9 has the hash" in verify().output

    @pytest.mark.parametrize("sequence", [1, 3])
    def test_that_were_removed_are_found(self, verify: Run, database: Database, sequence: int) -> None:
        with writing(database) as unit:
            unit.execute(delete(AuditEntry).where(AuditEntry.sequence == sequence))
        assert_found(verify(), f"row {sequence}:")

    def test_that_are_removed_at_the_end(self, verify: Run, database: Database) -> None:
        with writing(database) as unit:
            unit.execute(delete(AuditEntry).where(AuditEntry.sequence > 4))
        assert_found(verify(), "row 5:")

    def test_that_are_all_removed(self, verify: Run, database: Database) -> None:
        with writing(database) as unit:
            unit.execute(delete(AuditEntry))
        assert_found(verify(), "row 1:")

    def test_of_a_clinic_that_are_all_removed(self, verify: Run, database: Database) -> None:
        with writing(database) as unit:
            unit.execute(delete(AuditEntry).where(AuditEntry.clinic_id == CLINICS[0]))
        assert_found(verify(), "row 1:")

    @pytest.mark.parametrize(
        "change",
        [
            {"caller_id": "b0b0000002"},
            {"subject_id": "ca401c0003"},
            {"operation": "GetTier"},
            {"time": NOW},
            {"changed": ["tier"]},
            {"clinic_id": "85f1c0de0a1b2c3d4e5f6a7b"},
            {"status": 204},
        ],
    )
    def test_that_are_changed(self, verify: Run, database: Database, change: dict[str, object]) -> None:
        with writing(database) as unit:
            unit.execute(update(AuditEntry).where(AuditEntry.sequence == 4).values(**change))
        assert_found(verify(), "row 4:")

    def test_that_are_exchanged(self, verify: Run, database: Database) -> None:
        with writing(database) as unit:
            for before, after in ((2, 0), (3, 2), (0, 3)):
                unit.execute(update(AuditEntry).where(AuditEntry.sequence == before).values(sequence=after))
        assert_found(verify(), "row 2:")

    def test_that_are_put_in_between(self, verify: Run, database: Database) -> None:
        store(database, 6)
        with writing(database) as unit:
            unit.execute(update(AuditEntry).where(AuditEntry.sequence.is_(None)).values(sequence=3, hash="0" * 64))
        assert_found(verify(), "row ")

    def test_that_are_removed_together_with_the_end_of_the_chain(
        self, verify: Run, database: Database, sealer: Sealer
    ) -> None:
        """The chain by itself is whole then, but a file names its former end."""
        sealer.anchor()
        sealer._log.close()
        with writing(database) as unit:
            hashes = dict(unit.execute(text("SELECT sequence, hash FROM audit_entries")).all())
            unit.execute(delete(AuditEntry).where(AuditEntry.sequence > 4))
            unit.execute(update(AuditChain).values(sequence=4, hash=hashes[4]))
        assert_found(verify(), "row 6: ", ".jsonl names another row")

    def test_that_are_too_old_leave_a_chain_that_is_whole(
        self, verify: Run, database: Database, sealer: Sealer
    ) -> None:
        with clock.frozen(clock.now() + timedelta(days=20)):
            store(database, *range(6, 8))
            sealer.seal()
        with clock.frozen(clock.now() + timedelta(days=31)):
            assert sealer.purge() == (6, 0)
        assert "Row 8 has the hash" in verify().output
        with writing(database) as unit:
            unit.execute(delete(AuditEntry).where(AuditEntry.sequence == 7))
        assert_found(verify(), "row 7:")


def test_rows_that_become_visible_late_are_sealed_as_well(database: Database, sealer: Sealer, verify: Run) -> None:
    with clock.frozen(NOW):
        store(database, 2)
    assert sealer.seal() == 1
    with clock.frozen(NOW - timedelta(seconds=5)):
        store(database, 1)
    assert sealer.seal() == 1
    assert verify().exit_code == 0
    found = run(database, lambda uow: [record.request for record in uow.audit.list_chosen(Choice())], writes=False)
    assert found == ["request-1", "request-2"]


def test_rows_that_are_not_sealed_yet_are_counted(database: Database, verify: Run) -> None:
    run(database, lambda uow: uow.audit.add(record(1)), writes=True)
    first, *_ = verify().output.splitlines()
    assert first == "Not checked: 1 row, because no server has sealed them yet."


def test_the_end_of_a_server_seals_all_rows(database: Database, sealer: Sealer, verify: Run) -> None:
    def add_many(uow: UnitOfWork) -> None:
        for number in range(1100):
            uow.audit.add(record(number))

    run(database, add_many, writes=True)
    sealer.finish()
    assert verify().output.startswith("The audit trail is intact. Row 1100 has the hash ")


def test_a_write_that_is_rolled_back_leaves_no_row(database: Database) -> None:
    def fail(unit: UnitOfWork) -> None:
        unit.audit.add(record(1))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(database, fail, writes=True)
    assert run(database, lambda uow: uow.audit.list_unsealed(10), writes=False) == []


class TestLines:
    @pytest.fixture(autouse=True)
    def files(self, database: Database, folder: Path) -> list[Path]:  # noqa: ARG002 - `audit verify` reads both
        """The file of one day, which the file of the next day names."""
        with closing(AuditLog(folder)) as log:
            for day in range(2):
                with clock.frozen(NOW + timedelta(days=day)):
                    for number in range(4):
                        assert log.write(record(number).text(), 20) is None
        return list_files(folder)

    def test_are_intact(self, verify: Run) -> None:
        assert verify().exit_code == 0

    @pytest.mark.parametrize("number", [2, 3, 4])
    def test_that_were_removed_are_found(self, verify: Run, files: list[Path], number: int) -> None:
        edit(files[1], lambda lines: lines[: number - 1] + lines[number:])
        assert_found(verify(), f"{files[1].name}:{number}: ")

    def test_that_are_changed(self, verify: Run, files: list[Path]) -> None:
        edit(files[1], lambda lines: [*lines[:2], lines[2].replace(b"a11ce00001", b"b0b0000002"), *lines[3:]])
        assert_found(verify(), f"{files[1].name}:4: ")

    def test_that_are_exchanged(self, verify: Run, files: list[Path]) -> None:
        edit(files[1], lambda lines: [lines[0], lines[2], lines[1], *lines[3:]])
        assert_found(verify(), f"{files[1].name}:2: ")

    def test_that_are_no_json(self, verify: Run, files: list[Path]) -> None:
        edit(files[1], lambda lines: [*lines[:2], b"nothing", *lines[3:]])
        assert_found(verify(), f"{files[1].name}:3: ")

    @pytest.mark.parametrize("cut", [1, 3, 5])
    def test_that_are_cut_off_the_end_of_a_finished_file(self, verify: Run, files: list[Path], cut: int) -> None:
        edit(files[0], lambda lines: lines[:-cut])
        assert_found(verify(), f"{files[0].name}: ")

    def test_at_the_end_of_a_finished_file_that_are_changed(self, verify: Run, files: list[Path]) -> None:
        edit(files[0], lambda lines: [*lines[:-1], lines[-1].replace(b"a11ce00001", b"b0b0000002")])
        assert_found(verify(), f"{files[0].name}: ")

    def test_of_a_file_that_is_removed(self, verify: Run, files: list[Path]) -> None:
        files[0].unlink()
        assert_found(verify(), f"{files[0].name}: the file is missing")

    def test_of_a_file_that_is_renamed(self, verify: Run, files: list[Path]) -> None:
        files[1].rename(files[1].with_name(f"2026-03-04-{'0' * 16}.jsonl"))
        assert_found(verify(), f"2026-03-04-{'0' * 16}.jsonl:1: ")

    def test_of_a_file_that_was_removed_by_age(self, verify: Run, files: list[Path], sealer: Sealer) -> None:
        with clock.frozen(NOW + timedelta(days=31)):
            assert sealer.purge() == (0, 1)
        assert not files[0].exists()
        assert verify().exit_code == 0


def edit(file: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    file.write_bytes(b"".join(line + b"\n" for line in change(file.read_bytes().splitlines())))


def assert_found(result: Result, *words: str) -> None:
    assert result.exit_code == 1
    for word in words:
        assert word in result.output
