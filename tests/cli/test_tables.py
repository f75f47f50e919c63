"""Tables for a terminal."""

from __future__ import annotations

from clinic_service.cli.tables import table


def test_control_characters_of_a_cell_forge_no_row() -> None:
    rows = [("Ada\nFAKE  row", "\x1b[2J"), ("Zoë", "\u2028")]
    assert table(("NAME", "NUMBER"), rows).splitlines() == [
        "NAME            NUMBER",
        r"Ada\nFAKE  row  \x1b[2J",
        r"Zoë             \u2028",
    ]
