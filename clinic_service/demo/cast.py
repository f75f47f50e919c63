"""The people of the demo clinic. The pytest plugin imports this module too, so it imports nothing heavy."""

from __future__ import annotations

from clinic_service.demo.people import Somebody

ADMIN = Somebody("ada0000001", "Ada Archer", "ada@harbour.example")
MEMBER = Somebody("b0b0000002", "Bob Baker", "bob@harbour.example")
PATIENT = Somebody("ca40100003", "Carol Cooper", "carol@mail.example")
# May view and follow the data of Carol Cooper.
PARENT = Somebody("da40000004", "Daniel Cooper", "daniel@mail.example")
# Has an account, and access to nothing but that.
OUTSIDER = Somebody("0e10000005", "Olga Osborne", "olga@mail.example")
# The name of a backend service.
SERVICE = "demo-service"

CLINIC_NAME = "Harbour Diabetes Centre"
SHARE_CODE = "HRBR-2Q7K-M9XD"
