"""All settings, each with its default, its environment variable and its meaning.

The value of a setting comes from the first of these that is given: its flag on the command line, its environment variable
(`CLINIC_` and the field's name in capitals), the file that the variable's name with `_FILE` appended names, its default.
Flags with secrets, and with URLs that have a password, are refused, because every user of the machine can see them.
White space around a value is removed, and an empty value counts as not given. An unknown variable with the prefix
`CLINIC_` is an error, because it is nearly always a misspelling; variables that a platform sets by itself are ignored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from clinic_service.errors import ServiceError

PREFIX = "CLINIC_"
_PREFIX_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s,]+")
_RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)( burst [1-9][0-9]{0,8})?")
FILE_SUFFIX = "_FILE"
_STARS = "********"
# More than any value needs. A device or a log file that is named by mistake is not read to its end.
_MAX_FILE_BYTES = 64 * 1024
# As other programs of the platform read them.
_ON, _OFF = ("true", "t", "1"), ("false", "f", "0")
# As the spec says of the member `verification-token`: a longer one would be right and refused.
_LONGEST_VERIFICATION_TOKEN = 4096
_NEEDED_BY_REDOX = ("client_id", "key_id", "private_key", "source_id", "source_name")
_NEEDED_BY_XEALTH = ("xealth_bearer_token", "xealth_client_id", "xealth_client_secret", "application_url")
# The variables that Kubernetes sets in every container for a service called `clinic` or `clinic-…`.
_INJECTED = re.compile(r"CLINIC_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_INJECTED_ADDRESS = re.compile(r"CLINIC_(\w+_)?PORT=(tcp|udp|sctp)://.*")


class ConfigError(ServiceError):
    """A setting cannot be read, or settings contradict each other. The message names them and says what to do."""


def setting(default: Any, why: str, *, secret: bool = False, least: int = 0, most: int | None = None) -> Any:
    """A field of Config. `why` tells operators its meaning; `secret` masks its value, and refuses it as a flag.

    `least` and `most` bound a number, both included; None: no bound. They have no effect on text.
    """
    return field(default=default, metadata={"why": why, "secret": secret, "least": least, "most": most})


@dataclass(frozen=True)
class Config:
    """The effective settings of one process."""

    database_url: str = setting(
        "sqlite:///clinic-service.db",
        "URL of the database: sqlite:///FILE or postgresql://…, with ?pooler=transaction behind a transaction pooler",
    )
    sqlite_synchronous: str = setting(
        "FULL", "NORMAL is faster, but a power failure can lose the last commits; a crash of the server cannot"
    )
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8080, "port to listen on; 0: any free port, which is printed", most=65535)
    workers: int = setting(1, "number of server processes; one for each core is a good start", least=1, most=1000)
    threads: int = setting(
        0,
        "requests that a process works on at once, each on a connection of its own; 0: two on SQLite, four on PostgreSQL",
        most=1000,
    )
    max_requests: int = setting(
        256,
        "requests that a process holds, running and waiting; further ones are answered with 503 and Retry-After",
        least=1,
        most=100_000,
    )
    max_connections: int = setting(
        2000,
        "connections that a process holds; when one more comes, the one that has been silent longest is closed",
        least=1,
        most=1_000_000,
    )
    rate_limit: str | None = setting(
        None,
        "requests that a caller may send, such as 600/minute, or 600/minute burst 50, which allows 50 of them at once; "
        "each process counts by itself; unset: no limit",
    )
    proxies: int = setting(
        0,
        "reverse proxies before the server that add the address of their client to X-Forwarded-For; 0: it is not read",
        most=100,
    )
    compression: str = setting("on", "off: answers are not compressed, for servers behind a proxy that compresses them")
    path_prefix: str | None = setting(None, "path under which everything is served, such as /clinics-api")
    allowed_origins: str | None = setting(
        None, "origins of web pages that may call the API (CORS), separated by commas; * for all"
    )
    # An account change that is not completed within a minute is compensated.
    request_seconds: int = setting(
        30, "seconds for one request, calls to other systems included; after them the answer is 503", least=1, most=50
    )
    metrics_port: int = setting(0, "port for /metrics, on which there is nothing else; 0: none", most=65535)
    metrics_host: str = setting("127.0.0.1", "address to listen on for CLINIC_METRICS_PORT")
    metrics_token: str | None = setting(
        None,
        "bearer token that /metrics asks for; without it, /metrics answers on a loopback address or a port of its own only",
        secret=True,
    )
    drain_seconds: int = setting(15, "seconds that running requests have to finish when the server stops", most=3600)
    session_secret: str | None = setting(None, "shared secret of HS256 session tokens", secret=True)
    session_secret_also: str | None = setting(
        None, "second secret, with which tokens are also accepted while a secret is replaced", secret=True
    )
    session_jwks: str | None = setting(None, "file or URL with the public keys of RS256 and ES256 session tokens")
    session_issuer: str | None = setting(None, "issuer (iss) that session tokens must name")
    session_audience: str | None = setting(None, "audience (aud) that session tokens must name")
    accounts_url: str | None = setting(
        None, "base URL of the accounts service (shoreline); unset: accounts are in the embedded directory"
    )
    profiles_url: str | None = setting(None, "base URL of the profiles service (seagull)")
    accounts_server_name: str | None = setting(None, "name with which this server logs in to the accounts service")
    accounts_server_secret: str | None = setting(
        None, "secret with which this server logs in to the accounts service", secret=True
    )
    auth_service_token_endpoint: str | None = setting(
        None, "OpenID token endpoint that checks credentials of service accounts; unset: none can be added"
    )
    auth_service_jwks: str | None = setting(None, "file or URL with the keys of the OpenID provider's id tokens")
    auth_service_issuer: str | None = setting(None, "issuer (iss) that the id tokens of the OpenID provider must name")
    demo_patient_user_id: str | None = setting(
        None, "id of the user whose record every new clinic gets as its demo patient"
    )
    smtp_url: str | None = setting(
        None, "smtp://user:password@host:port to send mail; unset: mail stays in the outbox", secret=True
    )
    mail_from: str = setting("Clinic Service <no-reply@localhost>", "sender of the mail")
    application_url: str | None = setting(None, "base URL of the web application, for the links in mails")
    max_pending_invites_per_clinic: int = setting(
        1000,
        "pending invitations to clinicians that a clinic may have",
        least=1,
    )
    max_pending_invites_per_person: int = setting(
        300,
        "pending invitations to clinicians, and pending offers to clinics, that a person may have",
        least=1,
    )
    max_mails_per_hour_per_clinic: int = setting(
        200,
        "invitations that a clinic may send in an hour; the same limit holds for offers to it, and for its reminders",
        least=1,
    )
    max_mails_per_hour_per_person: int = setting(
        100,
        "invitations that a person may send in an hour, in all clinics; the same limit holds for offers, and for reminders",
        least=1,
    )
    redox_verification_token: str | None = setting(
        None, "secret shared with Redox; unset: every call is refused", secret=True
    )
    redox_enabled: bool = setting(
        False, "whether orders from Redox are carried out and answered here; otherwise another program does it"
    )
    redox_client_id: str | None = setting(None, "name of this server at the token endpoint of Redox")
    redox_key_id: str | None = setting(None, "id under which Redox knows the public key of this server")
    redox_private_key: str | None = setting(None, "private RSA key of this server for Redox, in PEM form", secret=True)
    redox_source_id: str | None = setting(None, "id of this server as a source of messages at Redox")
    redox_source_name: str | None = setting(None, "name of this server as a source of messages at Redox")
    redox_test_mode: bool = setting(False, "whether every message to Redox is marked as a test")
    redox_upload_file_enabled: bool = setting(
        False, "whether reports are uploaded to Redox and referred to; otherwise they are part of the message"
    )
    redox_endpoint_url: str = setting("https://api.redoxengine.com/endpoint", "where Redox takes messages")
    redox_token_url: str = setting("https://api.redoxengine.com/v2/auth/token", "token endpoint of Redox")
    redox_blob_url: str = setting("https://blob.redoxengine.com/upload", "where Redox takes files")
    export_client_address: str = setting("http://export:9301", "base URL of the export service, which makes reports")
    xealth_enabled: bool = setting(False, "whether the operations for Xealth answer; otherwise they are 501")
    xealth_bearer_token: str | None = setting(
        None, "secret shared with Xealth; unset: every call is refused", secret=True
    )
    xealth_client_id: str | None = setting(None, "name of this server at the token endpoint of Xealth")
    xealth_client_secret: str | None = setting(
        None, "secret of this server at the token endpoint of Xealth", secret=True
    )
    xealth_token_url: str = setting(
        "https://auth-sandbox.xealth.io/oauth2/token", "token endpoint of Xealth (OAuth2 client credentials)"
    )
    xealth_server_base_url: str = setting(
        "https://api-sandbox.xealth.io/v2",
        "base URL of the API of Xealth; https://provider.xealth.io/v2 for real orders",
    )
    xealth_report_token_paths: str | None = setting(
        None,
        "prefixes of paths, joined by commas, that the token of a report is good for; unset: all of the user's data",
    )
    xealth_viewer_directory: str | None = setting(
        None, "folder with the built PDF.js viewer (web/viewer.html); unset: browsers show reports by themselves"
    )
    auth_client_address: str | None = setting(
        None, "base URL of the auth service, which makes the tokens of reports; unset: they are made here"
    )
    auth_client_external_address: str | None = setting(
        None,
        "base URL at which this server logs in to call the auth service; unset: CLINIC_ACCOUNTS_URL, or its own tokens",
    )
    keep_delivered_events_days: int = setting(30, "days that delivered events of the outbox are kept", most=36_600)
    keep_unsent_mail_days: int = setting(
        90, "days that mail waits in the outbox for a mail server; older mail is removed unsent", least=1, most=36_600
    )
    keep_closed_invites_days: int = setting(
        90, "days that invitations are kept after they were accepted, declined or canceled", most=36_600
    )
    keep_partner_messages_days: int = setting(
        90,
        "days that messages, orders and views of reports of health record systems are kept, and longer while in use",
        most=36_600,
    )
    keep_deletion_records_days: int = setting(
        365,
        "days that records of deleted clinics, clinicians and patients, of merges and of changes of roles are kept",
        most=36_600,
    )
    keep_account_deletions_days: int = setting(
        730,
        "days that the tokens of a removed account are refused; no token may be valid for longer",
        # `clinic-service token` makes tokens for up to a year.
        least=366,
        most=36_600,
    )
    retention_pause_seconds: int = setting(
        600, "seconds between two searches for data that is older than these settings allow", least=1, most=86_400
    )
    audit: str = setting("on", "off: no request is recorded in the audit trail")
    audit_folder: str | None = setting(
        None,
        "folder of the audit files; unset: beside the SQLite database; on PostgreSQL "
        "~/.local/state/clinic-service/audit/NAME, with the name of the database",
    )
    audit_days: int = setting(
        2192, "days that the audit trail is kept, six years unless set; older entries are removed", least=1, most=36_600
    )
    answer_check: str = setting(
        "enforce", "enforce: an answer that breaks the spec becomes a 500; report: it is sent and logged"
    )
    log_level: str = setting("INFO", "level of the least severe messages that are logged")

    def __post_init__(self) -> None:
        _require_choice("sqlite_synchronous", self.sqlite_synchronous, ("FULL", "NORMAL"))
        _require_choice("answer_check", self.answer_check, ("enforce", "report"))
        _require_choice("audit", self.audit, ("on", "off"))
        _require_choice("compression", self.compression, ("on", "off"))
        if not _PREFIX_PATH.fullmatch(self.path_prefix or ""):
            raise ConfigError(
                "CLINIC_PATH_PREFIX must look like /clinics-api: begin with a slash, and do not end with one."
            )
        if not all(_ORIGIN.fullmatch(origin) for origin in self.origins):
            raise ConfigError(
                "CLINIC_ALLOWED_ORIGINS must look like https://app.example.org,https://other.example.org."
            )
        if self.rate_limit and not _RATE.fullmatch(self.rate_limit):
            raise ConfigError(
                "CLINIC_RATE_LIMIT must look like 600/minute, or 600/minute burst 50; for each second, minute, hour or day."
            )
        _require_choice("log_level", self.log_level, ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
        for number in filter(is_number, fields(self)):
            _require_range(number, getattr(self, number.name))
        if self.accounts_url and not (self.accounts_server_name and self.accounts_server_secret and self.profiles_url):
            raise ConfigError(
                "With CLINIC_ACCOUNTS_URL, set CLINIC_PROFILES_URL, CLINIC_ACCOUNTS_SERVER_NAME and "
                "CLINIC_ACCOUNTS_SERVER_SECRET as well."
            )
        if not all(path.startswith("/") for path in self.report_token_paths) or len(self.report_token_paths) > 10:
            raise ConfigError("CLINIC_XEALTH_REPORT_TOKEN_PATHS must be up to 10 paths, such as /export,/v1/data.")
        if self.auth_client_external_address and not (self.accounts_server_name and self.accounts_server_secret):
            raise ConfigError(
                "CLINIC_AUTH_CLIENT_EXTERNAL_ADDRESS needs CLINIC_ACCOUNTS_SERVER_NAME and "
                "CLINIC_ACCOUNTS_SERVER_SECRET as well."
            )
        if len(self.redox_verification_token or "") > _LONGEST_VERIFICATION_TOKEN:
            raise ConfigError(
                f"CLINIC_REDOX_VERIFICATION_TOKEN must be at most {_LONGEST_VERIFICATION_TOKEN} characters long."
            )
        redox = [f"redox_{name}" for name in _NEEDED_BY_REDOX]
        if self.redox_enabled and not all(getattr(self, name) for name in redox):
            raise ConfigError(f"CLINIC_REDOX_ENABLED needs {', '.join(map(variable, redox))} as well.")
        if self.xealth_enabled and not all(getattr(self, name) for name in _NEEDED_BY_XEALTH):
            raise ConfigError(f"CLINIC_XEALTH_ENABLED needs {', '.join(map(variable, _NEEDED_BY_XEALTH))} as well.")
        if self.auth_service_token_endpoint and not (self.auth_service_jwks and self.auth_service_issuer):
            raise ConfigError(
                "With CLINIC_AUTH_SERVICE_TOKEN_ENDPOINT, set CLINIC_AUTH_SERVICE_JWKS and CLINIC_AUTH_SERVICE_ISSUER "
                "as well."
            )

    @property
    def worker_threads(self) -> int:
        """How many requests a process works on at once."""
        # Measured on two cores: on SQLite a request costs 10 % more with two threads than with one, and 40 % more with
        # four. Its statements are so short that the threads mostly wait for each other.
        return self.threads or (2 if self.database_url.startswith("sqlite") else 4)

    @property
    def report_token_paths(self) -> tuple[str, ...]:
        """The prefixes of `xealth_report_token_paths`."""
        return _listed(self.xealth_report_token_paths)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins in `allowed_origins`; none when it is not set."""
        return _listed(self.allowed_origins)

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, **flags: Any) -> Self:
        """The settings of `environ`. A flag that is neither None nor empty overrides the variable of its setting.

        Raises ConfigError for an unknown variable, for a value that cannot be used, and for a flag with a secret.
        """
        given = {
            name: text for name, text in environ.items() if name.startswith(PREFIX) and not _is_injected(name, text)
        }
        _require_known(given, [variable(f.name) for f in fields(cls)])
        values: dict[str, Any] = {}
        for f in fields(cls):
            flagged = flags.get(f.name)
            text = str(flagged).strip() if flagged is not None else ""
            _require_no_secret(f, text)
            text = text or _value_of(variable(f.name), given)
            if text:
                values[f.name] = _read(f, text)
        return cls(**values)

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Each setting as (variable, flag of `serve`, effective value, default, meaning).

        Secrets are masked, and have no flag.
        """
        return [
            (
                variable(f.name),
                "" if is_secret(f) else flag(f.name),
                self._shown(f.name),
                _text(f.default),
                f.metadata["why"],
            )
            for f in fields(self)
        ]

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if value is None:
            return ""
        if is_secret(next(f for f in fields(self) if f.name == name)):
            return _STARS
        return mask_password(value) if isinstance(value, str) and "://" in value else str(value)


# The tests read these; the server does not.
TEST_VARIABLES = frozenset({"CLINIC_TEST_DATABASE_URL"})


def variable(name: str) -> str:
    """The environment variable of the setting `name`."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The flag of `clinic-service serve` for the setting `name`."""
    return "--" + name.replace("_", "-")


def mask_password(url: str) -> str:
    """`url` with stars in place of a password. A URL that cannot be parsed is replaced by stars as a whole."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _STARS
    if parts.password:
        user_info, _, host = parts.netloc.rpartition("@")
        url = url.replace(parts.netloc, f"{user_info.split(':', 1)[0]}:{_STARS}@{host}", 1)
    return re.sub(r"(?i)([?&](ssl)?password=)[^&]*", rf"\1{_STARS}", url)


def has_password(text: str) -> bool:
    """Whether `text` is a URL with a password, or one that cannot be parsed and so may have one."""
    return "://" in text and mask_password(text) != text


def _is_injected(name: str, text: str) -> bool:
    """Whether a platform, not the operator, has set the variable."""
    return bool(_INJECTED.fullmatch(name) or _INJECTED_ADDRESS.fullmatch(f"{name}={text}"))


def _require_no_secret(setting_field: Any, flagged: str) -> None:
    """Raise ConfigError if the flag of the setting was given and its value is secret."""
    name, shown = variable(setting_field.name), flag(setting_field.name)
    if flagged and is_secret(setting_field):
        raise ConfigError(
            f"{shown} cannot be given, because every user of the machine can see the arguments of a command. "
            f"Set {name}, or write the secret into a file and set {name}{FILE_SUFFIX} to its path."
        )
    if has_password(flagged):
        raise ConfigError(
            f"{shown} has a URL with a password, but every user of the machine can see the arguments of a command. "
            f"Set {name}, or write the URL into a file and set {name}{FILE_SUFFIX} to its path."
        )


def _require_known(names: Mapping[str, str], known: list[str]) -> None:
    """Raise ConfigError unless each of `names` is the variable of a setting, with or without `_FILE` at its end."""
    unknown = {name for name in names if name.removesuffix(FILE_SUFFIX) not in known} - TEST_VARIABLES
    if unknown:
        raise ConfigError(
            f"Unknown setting in the environment: {', '.join(sorted(unknown))}. Remove or correct it. "
            f"Known: {', '.join(known)}, and each of them with {FILE_SUFFIX} at its end."
        )


def _value_of(name: str, environ: Mapping[str, str]) -> str:
    """The value of the variable `name`, or else of the file that its `_FILE` names; empty when there is neither."""
    text, file = environ.get(name, "").strip(), environ.get(name + FILE_SUFFIX, "").strip()
    if not file:
        return text
    content = _content(name + FILE_SUFFIX, Path(file))
    if text and content != text:
        raise ConfigError(f"{name} and {name}{FILE_SUFFIX} have different values. Set only one of them.")
    return content


def _content(name: str, file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise ConfigError(f"{name} names a file of more than {_MAX_FILE_BYTES} bytes: {file}")
        return content.decode().strip()
    except OSError as error:
        raise ConfigError(f"{name} names a file that cannot be read: {file} ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name} names a file that is not UTF-8 text: {file}") from None


def _read(setting_field: Any, text: str) -> str | int:
    if str(setting_field.type) == "bool":
        return _read_switch(setting_field, text)
    if not is_number(setting_field):
        return text
    if not re.fullmatch("[+-]?[0-9]{1,1000}", text):
        raise ConfigError(f"{variable(setting_field.name)} must be a whole number.")
    return int(text)


def _read_switch(setting_field: Any, text: str) -> bool:
    if text.lower() not in _ON + _OFF:
        raise ConfigError(f"{variable(setting_field.name)} must be true or false.")
    return text.lower() in _ON


def is_number(setting_field: Any) -> bool:
    """Whether the setting is a whole number; all others are text, or true or false."""
    return str(setting_field.type) == "int"


def is_secret(setting_field: Any) -> bool:
    """Whether the value of the setting must not be shown to anybody."""
    return bool(setting_field.metadata["secret"])


def _require_range(number: Any, value: int) -> None:
    least, most = number.metadata["least"], number.metadata["most"]
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{variable(number.name)} must be {bounds}.")


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{variable(name)} must be one of {', '.join(choices)}.")


def _listed(value: str | None) -> tuple[str, ...]:
    """The values that are joined by commas."""
    return tuple(part.strip() for part in value.split(",")) if value else ()


def _text(default: Any) -> str:
    return "" if default is None else mask_password(str(default))
