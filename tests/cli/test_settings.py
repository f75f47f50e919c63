"""Where the value of a setting comes from, and which values are refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from clinic_service.config import Config, ConfigError, is_number, variable

KUBERNETES = {
    "CLINIC_SERVICE_HOST": "10.0.0.1",
    "CLINIC_SERVICE_PORT": "80",
    "CLINIC_SERVICE_PORT_HTTP": "80",
    "CLINIC_PORT": "tcp://10.0.0.1:80",
    "CLINIC_PORT_80_TCP": "tcp://10.0.0.1:80",
    "CLINIC_PORT_80_TCP_PROTO": "tcp",
    "CLINIC_PORT_80_TCP_PORT": "80",
    "CLINIC_PORT_80_TCP_ADDR": "10.0.0.1",
    "CLINIC_PORT_53_UDP_ADDR": "10.0.0.1",
    "CLINIC_API_SERVICE_HOST": "10.0.0.2",
    "CLINIC_API_SERVICE_PORT": "80",
    "CLINIC_API_PORT": "tcp://10.0.0.2:80",
    "CLINIC_API_PORT_80_TCP_ADDR": "10.0.0.2",
}


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"CLINIC_PROT": "8080"}, "CLINIC_PROT"),
        ({"CLINIC_PROT_FILE": "/etc/hostname"}, "CLINIC_PROT_FILE"),
        ({"CLINIC_SERVICE": "x"}, "CLINIC_SERVICE"),
        ({"CLINIC_API_PORT": "8080"}, "CLINIC_API_PORT"),
        ({"CLINIC_SERVICE_HOSTS": "10.0.0.1"}, "CLINIC_SERVICE_HOSTS"),
        ({"CLINIC_PORT": "eighty"}, "CLINIC_PORT must be a whole number"),
        ({"CLINIC_PORT": "8_080"}, "CLINIC_PORT must be a whole number"),
        ({"CLINIC_PORT": "٨٠٨٠"}, "CLINIC_PORT must be a whole number"),
        ({"CLINIC_PORT": "80800"}, "CLINIC_PORT must be from 0 to 65535"),
        ({"CLINIC_PORT": "-1"}, "CLINIC_PORT must be from 0 to 65535"),
        ({"CLINIC_WORKERS": "0"}, "CLINIC_WORKERS must be from 1 to 1000"),
        ({"CLINIC_THREADS": "9" * 30}, "CLINIC_THREADS must be from 0 to 1000"),
        ({"CLINIC_DRAIN_SECONDS": "-1"}, "CLINIC_DRAIN_SECONDS must be from 0 to 3600"),
        ({"CLINIC_SQLITE_SYNCHRONOUS": "OFF"}, "CLINIC_SQLITE_SYNCHRONOUS must be one of"),
        ({"CLINIC_LOG_LEVEL": "chatty"}, "CLINIC_LOG_LEVEL must be one of"),
        ({"CLINIC_ACCOUNTS_URL": "http://accounts"}, "With CLINIC_ACCOUNTS_URL, set"),
        *(
            ({"CLINIC_RATE_LIMIT": text}, "CLINIC_RATE_LIMIT must look like 600/minute")
            for text in (
                "600",
                "0/minute",
                "6/fortnight",
                "6/second, 7/minute",
                "6/minute burst 0",
                "-1/day",
                "1" * 10 + "/day",
            )
        ),
        ({"CLINIC_REDOX_ENABLED": "yes"}, "CLINIC_REDOX_ENABLED must be true or false"),
        ({"CLINIC_REDOX_ENABLED": "true"}, "CLINIC_REDOX_ENABLED needs CLINIC_REDOX_CLIENT_ID"),
    ],
)
def test_settings_that_make_no_sense_are_refused(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Config.load(environ)


def test_every_number_has_bounds() -> None:
    for number in filter(is_number, fields(Config)):
        with pytest.raises(ConfigError, match=f"{variable(number.name)} must be (from|at least)"):
            Config.load({variable(number.name): "-1"})


def test_flags_win_over_the_environment() -> None:
    assert Config.load({"CLINIC_PORT": "9000", "CLINIC_HOST": "0.0.0.0"}, port=9100, host=None).port == 9100
    assert Config.load({"CLINIC_PORT": "9000"}, port=None).port == 9000


def test_blanks_and_newlines_at_the_ends_are_no_part_of_a_value() -> None:
    environ = {"CLINIC_HOST": " 0.0.0.0\n", "CLINIC_PORT": "\t9000 \r\n", "CLINIC_MAIL_FROM": " A B <a@b.example> "}
    config = Config.load(environ, session_issuer=" issuer\n", session_audience=" ")
    assert (config.host, config.port, config.mail_from) == ("0.0.0.0", 9000, "A B <a@b.example>")
    assert (config.session_issuer, config.session_audience) == ("issuer", None)


def test_a_value_of_blanks_only_is_none() -> None:
    assert Config.load({"CLINIC_PORT": " ", "CLINIC_SMTP_URL": "\n"}) == Config()


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("1", True), ("t", True), ("false", False), ("FALSE", False), ("0", False)],
)
def test_switches_are_true_or_false(text: str, value: bool) -> None:
    assert Config.load({"CLINIC_REDOX_TEST_MODE": text}).redox_test_mode is value


@pytest.mark.parametrize("name", [f.name for f in fields(Config)])
def test_every_setting_can_be_read_from_a_file(tmp_path: Path, name: str) -> None:
    text = {"port": "9000", "sqlite_synchronous": "NORMAL", "answer_check": "report", "log_level": "ERROR"}
    text |= {
        "audit": "off",
        "compression": "off",
        "path_prefix": "/clinics-api",
        "allowed_origins": "https://app.example.org",
    }
    text |= {"xealth_report_token_paths": "/export,/v1/data", "rate_limit": "600/minute burst 50"}
    needed = {
        "accounts_url": ("accounts_server_name", "accounts_server_secret", "profiles_url"),
        "auth_client_external_address": ("accounts_server_name", "accounts_server_secret"),
        "auth_service_token_endpoint": ("auth_service_jwks", "auth_service_issuer"),
        "redox_enabled": [
            f"redox_{name}" for name in ("client_id", "key_id", "private_key", "source_id", "source_name")
        ],
        "xealth_enabled": ("xealth_bearer_token", "xealth_client_id", "xealth_client_secret", "application_url"),
    }
    default = getattr(Config(), name)
    usual = {bool: "True", int: str(default + 1) if isinstance(default, int) else ""}
    expected = text.get(name, usual.get(type(default), "a value"))
    file = tmp_path / "value"
    file.write_text(f" {expected}\n\n")
    others = {variable(other): "x" for other in needed.get(name, ())}
    found = getattr(Config.load({f"{variable(name)}_FILE": f"{file}\n", **others}), name)
    assert str(found) == expected
    assert type(found) is (type(default) if isinstance(default, int) else str)


class TestFiles:
    def test_a_flag_wins_over_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "port").write_text("9000")
        assert Config.load({"CLINIC_PORT_FILE": str(tmp_path / "port")}, port=9100).port == 9100

    def test_a_variable_may_say_the_same_as_the_file_but_nothing_else(self, tmp_path: Path) -> None:
        (tmp_path / "port").write_text("9000\n")
        environ = {"CLINIC_PORT_FILE": str(tmp_path / "port")}
        assert Config.load({**environ, "CLINIC_PORT": "9000"}).port == 9000
        with pytest.raises(ConfigError, match="CLINIC_PORT and CLINIC_PORT_FILE have different values"):
            Config.load({**environ, "CLINIC_PORT": "9001"})

    def test_a_file_that_cannot_be_used_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "long").write_bytes(b"x" * 70_000)
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        for name, words in [
            ("none", "No such file"),
            ("", "Is a directory"),
            ("long", "more than"),
            ("binary", "UTF-8"),
        ]:
            with pytest.raises(ConfigError, match=f"CLINIC_SESSION_SECRET_FILE names a file .*{words}"):
                Config.load({"CLINIC_SESSION_SECRET_FILE": str(tmp_path / name)})


def test_what_a_platform_sets_by_itself_is_passed_over() -> None:
    assert Config.load(KUBERNETES) == Config()


def test_what_a_platform_sets_hides_no_misspelling() -> None:
    with pytest.raises(ConfigError, match=r"environment: CLINIC_PROT\."):
        Config.load({**KUBERNETES, "CLINIC_PROT": "9000"})
