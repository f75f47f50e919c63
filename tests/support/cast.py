"""Everybody the tests know. The same people play the same parts in every test."""

from __future__ import annotations

from typing import NamedTuple


class Somebody(NamedTuple):
    """A person by user id, or a service by name."""

    id: str
    name: str
    email: str
    is_service: bool = False


ALICE = Somebody("a11ce00001", "Alice Archer", "alice@harbour.example")  # admin of the clinic
BOB = Somebody("b0b0000002", "Bob Baker", "bob@harbour.example")  # member of the clinic
CAROL = Somebody("ca401c0003", "Carol Cooper", "carol@mail.example")  # patient of the clinic
DAVE = Somebody("da7e000004", "Dave Draper", "dave@mail.example")  # another patient
ERIN = Somebody("e410000005", "Erin Ellis", "erin@hilltop.example")  # admin of another clinic
PETE = Somebody("0e7e000006", "Pete Porter", "pete@harbour.example")  # prescriber of the clinic, and nothing else
MALLORY = Somebody("0a110c0007", "Mallory Moss", "mallory@mail.example")  # nobody's friend
SERVICE = Somebody("task-runner", "task-runner", "", is_service=True)  # a backend service

PEOPLE = (ALICE, BOB, CAROL, DAVE, ERIN, PETE, MALLORY)
