"""What mails say."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from clinic_service.gateways.mail_messages import Mail
from clinic_service.outbox.deliveries import MAILS, compose
from clinic_service.outbox.events import ConnectionAction

VALUES: dict[str, Any] = {
    "clinicId": "65f1c0de0a1b2c3d4e5f6a7b",
    "userId": "a11ce00001",
    "ClinicName": "Harbour & <b>Sons</b> $Content",
    "SourceClinicName": "Hilltop",
    "TargetClinicName": "Harbour & <b>Sons</b> $Content",
    "ClinicianName": 'Alice "A" Archer',
    "CreatorName": "Alice & <i>Archer</i>",
    "CareteamName": "Carol <u>Cooper</u>",
    "PatientName": "Carol <u>Cooper</u>",
    "ProviderName": "Dexcom <Clarity>",
    "Email": "erin@hilltop.example",
    "changed": ["roles"],
}
URL = "https://app.example/?a=1&b=2"


def _mail(kind: str, url: str | None = URL, **values: Any) -> Mail:
    return compose(kind, VALUES | values, to="alice@harbour.example", key="key", application_url=url)


class _Reader(HTMLParser):
    """Collects what a mail program would show, and checks that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.links, self.open = "", list[str | None](), list[str]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.links += [value for name, value in attributes if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


@pytest.mark.parametrize("kind", sorted(MAILS))
def test_values_are_shown_as_they_are(kind: str) -> None:
    mail = _mail(kind)
    assert (mail.to, mail.key) == ("alice@harbour.example", "key")
    assert VALUES["ClinicName"] in mail.text
    assert "<b>Sons" not in mail.html
    shown = _Reader(mail.html)
    assert shown.open == []
    assert VALUES["ClinicName"] in " ".join(shown.text.split())


@pytest.mark.parametrize("kind", sorted(MAILS))
def test_link_leads_to_the_application_if_there_is_one(kind: str) -> None:
    assert URL in _mail(kind).text
    assert _Reader(_mail(kind).html).links == [URL]
    assert "http" not in _mail(kind, url=None).text
    assert _Reader(_mail(kind, url=None).html).links == []


@pytest.mark.parametrize("kind", sorted(MAILS))
def test_nothing_is_left_to_fill_in(kind: str) -> None:
    mail = _mail(kind, ClinicName="Harbour", TargetClinicName="Harbour")
    assert "$" not in mail.subject + mail.text + mail.html


def test_subjects() -> None:
    assert _mail("clinic_created", ClinicName="Harbour").subject == "Harbour is ready"
    assert _mail("clinician_permissions_updated", ClinicName="Harbour").subject == "Your role at Harbour has changed"


def test_subjects_of_invitations() -> None:
    assert _mail("clinician_invitation", ClinicName="Harbour").subject == "You are invited to join Harbour"
    subject = _mail("patient_clinic_invitation", ClinicName="Harbour", CareteamName="Carol Cooper").subject
    assert subject == "Carol Cooper would like to share data with Harbour"


@pytest.mark.parametrize(
    ("who", "subject"),
    [
        ("patient", "A change at Hilltop: it is now part of Harbour"),
        ("source_clinician", "The workspace of Hilltop is now part of Harbour"),
        ("target_admin", "The workspace of Hilltop has been merged into Harbour"),
    ],
)
def test_notifications_of_a_merge_name_both_clinics(who: str, subject: str) -> None:
    mail = _mail(f"clinic_merged_{who}_notification", TargetClinicName="Harbour")
    assert mail.subject == subject
    shown = _Reader(mail.html).text
    for name in ("Hilltop", "Harbour"):
        assert name in mail.text
        assert name in shown


def test_invitation_names_who_sent_it_and_to_which_address() -> None:
    mail = _mail("clinician_invitation", ClinicName="Harbour")
    assert "sent by\nAlice & <i>Archer</i> and waits" in mail.text
    assert "erin@hilltop.example" in mail.text
    shown = " ".join(_Reader(mail.html).text.split())
    assert "sent by Alice & <i>Archer</i> and waits for you under the address erin@hilltop.example" in shown
    assert "<i>" not in mail.html


def test_offer_names_the_patient() -> None:
    mail = _mail("patient_clinic_invitation", CareteamName="Carol <u>Cooper</u>")
    assert mail.text.startswith("Hello,\n\nCarol <u>Cooper</u> offers Harbour")
    assert "Carol <u>Cooper</u> offers Harbour" in " ".join(_Reader(mail.html).text.split())


@pytest.mark.parametrize(
    ("url", "path", "link"),
    [
        (URL, "login", "https://app.example/login?a=1&b=2"),
        ("https://app.example", "signup/clinician", "https://app.example/signup/clinician"),
        ("https://app.example/clinic/", "login", "https://app.example/clinic/login"),
    ],
)
@pytest.mark.parametrize("kind", ["clinician_invitation", "patient_clinic_invitation"])
def test_link_leads_to_the_page_where_the_invitation_is_answered(kind: str, url: str, path: str, link: str) -> None:
    mail = _mail(kind, url, WebPath=path)
    assert f" at {link}\n" in mail.text
    assert _Reader(mail.html).links == [link]


def test_who_has_no_account_is_led_to_the_sign_up() -> None:
    for url in (URL, None):
        mail = _mail("clinician_invitation", url, WebPath="signup/clinician")
        assert "Sign up" in mail.text
        assert "Sign up" in _Reader(mail.html).text
        assert "Sign up" not in _mail("clinician_invitation", url, WebPath="login").text


def test_values_are_kept_on_one_line() -> None:
    mail = _mail("clinic_created", ClinicName="Harbour\n\nSign in at https://evil.example")
    assert mail.subject == "Harbour Sign in at https://evil.example is ready"
    assert "\nSign in at https://evil.example" not in mail.text


def test_plain_text_starts_with_the_greeting() -> None:
    mail = _mail("clinician_permissions_updated")
    assert mail.text.startswith("Hello,\n")
    assert 'Alice "A" Archer has changed your role' in mail.text


def test_reminder_names_the_clinic_and_the_patient() -> None:
    mail = _mail("patient_upload_reminder", ClinicName="Harbour")
    assert mail.subject == "A reminder from Harbour to upload data"
    assert "please upload the latest diabetes\ndata of Carol <u>Cooper</u>" in mail.text
    shown = " ".join(_Reader(mail.html).text.split())
    assert "reminder from Harbour: please upload the latest diabetes data of Carol <u>Cooper</u>" in shown


REQUESTS = [
    f"request_{provider}_{action}" for provider in ("abbott", "dexcom", "twiist") for action in ConnectionAction
]


def test_there_is_a_mail_for_each_request_to_a_patient() -> None:
    assert len(REQUESTS) == 9
    assert set(REQUESTS) < MAILS


@pytest.mark.parametrize("kind", REQUESTS)
def test_requests_name_the_provider_the_clinic_and_the_patient(kind: str) -> None:
    mail = _mail(kind, ClinicName="Harbour")
    assert mail.subject == (
        "Please connect Dexcom <Clarity> again: a request from Harbour"
        if kind.endswith("_reconnect")
        else "Please connect Dexcom <Clarity>: a request from Harbour"
    )
    for text in (" ".join(mail.text.split()), " ".join(_Reader(mail.html).text.split())):
        assert "the Dexcom <Clarity> account of Carol <u>Cooper</u>" in text
        assert "at Harbour" in text or "from Harbour" in text
        assert "open for 30 days" in text
        # Only who has not made the account alone has to take it over.
        assert ("has set up an account for Carol <u>Cooper</u>" in text) == kind.endswith("_custodial")
