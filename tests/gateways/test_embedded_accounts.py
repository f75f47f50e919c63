"""The directory of accounts in this program's own database."""

from __future__ import annotations

import threading

import pytest

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.gateways.accounts import Account, AccountNotFound, EmailTaken, Profile
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount, UserIdTaken
from clinic_service.gateways.accounts.http import HttpAccounts
from clinic_service.gateways.user_ids import is_user_id

CLINIC_ID = new_id()
CAROL = NewAccount(
    "ca401c0003",
    ("Carol@Mail.example", "carol@work.example"),
    ("clinician", "patient"),
    Profile("Carol Cooper", "Cody Cooper", "1987-04-12", "MRN-20417", ("dexcom", "omnipod"), "2001-09-18", True),
)


@pytest.fixture
def accounts(database: Database) -> EmbeddedAccounts:
    return EmbeddedAccounts(database)


def test_account_is_found_as_it_was_added(accounts: EmbeddedAccounts) -> None:
    carol = Account(
        "ca401c0003", "carol@mail.example", ("carol@mail.example", "carol@work.example"), ("clinician", "patient")
    )
    assert accounts.add(CAROL) == carol
    assert accounts.find_account("ca401c0003") == carol
    assert accounts.find_by_email("CAROL@work.example") == carol
    assert accounts.find_profile("ca401c0003") == CAROL.profile


def test_profiles_of_several_users_are_found_by_id(accounts: EmbeddedAccounts) -> None:
    accounts.add(CAROL)
    assert accounts.find_profiles({"ca401c0003", "0000000000"}) == {
        "ca401c0003": CAROL.profile,
        "0000000000": Profile(),
    }
    assert accounts.find_profiles(set()) == {}


def test_nobody_is_found_where_nobody_is(accounts: EmbeddedAccounts) -> None:
    accounts.add(CAROL)
    assert accounts.find_account("0000000000") is None
    assert accounts.find_by_email("nobody@mail.example") is None
    assert accounts.find_profile("0000000000") == Profile()


def test_account_with_nothing_but_an_id(accounts: EmbeddedAccounts) -> None:
    user_id = accounts.add(NewAccount()).user_id
    assert is_user_id(user_id)
    assert accounts.find_account(user_id) == Account(user_id)
    assert accounts.find_profile(user_id) == Profile()


def test_list_is_in_order_of_creation(accounts: EmbeddedAccounts) -> None:
    carol, nobody = accounts.add(CAROL), accounts.add(NewAccount("ffffffffff"))
    assert accounts.list_accounts() == [(carol, CAROL.profile), (nobody, Profile())]


@pytest.mark.parametrize("email", ["carol@mail.example", "CAROL@WORK.EXAMPLE"])
def test_address_belongs_to_one_account(accounts: EmbeddedAccounts, email: str) -> None:
    accounts.add(CAROL)
    with pytest.raises(EmailTaken, match=r"^The e-mail address is already taken\.$"):
        accounts.add(NewAccount(emails=("new@mail.example", email)))
    assert len(accounts.list_accounts()) == 1


def test_address_may_be_named_twice(accounts: EmbeddedAccounts) -> None:
    assert accounts.add(NewAccount(emails=("a@b.example", "A@b.example"))).emails == ("a@b.example",)


def test_id_belongs_to_one_account(accounts: EmbeddedAccounts) -> None:
    accounts.add(CAROL)
    with pytest.raises(UserIdTaken):
        accounts.add(NewAccount("ca401c0003"))


def test_custodial_account_with_and_without_address(accounts: EmbeddedAccounts) -> None:
    named = accounts.create_custodial(CLINIC_ID, "New@Mail.example")
    unnamed = [accounts.create_custodial(CLINIC_ID, None) for _ in range(2)]
    assert (named.username, named.emails) == ("new@mail.example", ("new@mail.example",))
    assert [(account.username, account.emails) for account in unnamed] == [("", ()), ("", ())]
    assert len({named.user_id, *(account.user_id for account in unnamed)}) == 3


def test_custodial_account_has_the_id_that_was_chosen(accounts: EmbeddedAccounts) -> None:
    user_id = accounts.choose_user_id()
    assert is_user_id(user_id)
    assert accounts.choose_user_id() != user_id
    assert accounts.create_custodial(CLINIC_ID, None, user_id) == Account(user_id)
    with pytest.raises(UserIdTaken):
        accounts.create_custodial(CLINIC_ID, None, user_id)


def test_custodial_account_needs_a_free_address(accounts: EmbeddedAccounts) -> None:
    accounts.add(CAROL)
    with pytest.raises(EmailTaken):
        accounts.create_custodial(CLINIC_ID, "carol@MAIL.example")


def test_one_of_two_at_once_gets_the_address(accounts: EmbeddedAccounts) -> None:
    barrier, outcomes = threading.Barrier(2), list[str]()

    def create() -> None:
        barrier.wait()
        try:
            accounts.create_custodial(CLINIC_ID, "race@mail.example")
            outcomes.append("made")
        except EmailTaken:
            outcomes.append("taken")

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "taken"]
    assert len(accounts.list_accounts()) == 1


def test_address_can_be_changed_and_taken_away(accounts: EmbeddedAccounts) -> None:
    user_id = accounts.create_custodial(CLINIC_ID, "old@mail.example").user_id
    accounts.update_custodial_email(user_id, "New@mail.example")
    assert accounts.find_account(user_id) == Account(user_id, "new@mail.example", ("new@mail.example",))
    assert accounts.find_by_email("old@mail.example") is None
    accounts.update_custodial_email(user_id, None)
    assert accounts.find_account(user_id) == Account(user_id)
    assert accounts.create_custodial(CLINIC_ID, "new@mail.example").user_id != user_id


def test_address_may_be_set_to_what_it_is(accounts: EmbeddedAccounts) -> None:
    user_id = accounts.create_custodial(CLINIC_ID, "old@mail.example").user_id
    accounts.update_custodial_email(user_id, "OLD@mail.example")
    assert accounts.find_account(user_id) == Account(user_id, "old@mail.example", ("old@mail.example",))


@pytest.mark.parametrize("email", ["carol@mail.example", "carol@work.example"])
def test_refused_change_of_address_changes_nothing(accounts: EmbeddedAccounts, email: str) -> None:
    accounts.add(CAROL)
    other = accounts.create_custodial(CLINIC_ID, "old@mail.example")
    with pytest.raises(EmailTaken):
        accounts.update_custodial_email(other.user_id, email)
    assert accounts.find_account(other.user_id) == other


def test_address_of_an_unknown_account_cannot_be_changed(accounts: EmbeddedAccounts) -> None:
    with pytest.raises(AccountNotFound):
        accounts.update_custodial_email("0000000000", "new@mail.example")


def test_removed_account_leaves_nothing(accounts: EmbeddedAccounts) -> None:
    accounts.add(CAROL)
    accounts.remove("ca401c0003")
    accounts.remove("ca401c0003")
    assert accounts.list_accounts() == []
    assert accounts.find_by_email("carol@mail.example") is None
    assert accounts.add(CAROL).user_id == "ca401c0003"


def test_configuration_chooses_the_directory(database: Database) -> None:
    service = Config(
        accounts_url="http://accounts.example",
        profiles_url="http://profiles.example",
        accounts_server_name="clinic",
        accounts_server_secret="secret",
    )
    assert isinstance(chosen_accounts(Config(), database), EmbeddedAccounts)
    assert isinstance(chosen_accounts(service, database), HttpAccounts)
