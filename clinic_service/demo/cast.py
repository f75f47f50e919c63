"""The people of the demo clinic. The pytest plugin imports this module too, so it imports nothing heavy."""

from __future__ import annotations

from clinic_service.demo.people import Somebody

ADMIN = Somebody("ada0000001", "Ada Archer", "ada@harbour.example")
MEMBER = Somebody("b0b0000002", "Bob Baker", "bob@harbour.example")
# The birth date of Carol Cooper.
BIRTH_DATE = "1987-04-12"
PATIENT = Somebody("ca401c0003", "Carol Cooper", "carol@mail.example")
# This person may view and follow the data of Carol Cooper.
PARENT = Somebody("da5e0d0004", "Daniel Cooper", "daniel@mail.example")
# This person has an account, and access to no other data.
OUTSIDER = Somebody("0e10000005", "Olga Osborne", "olga@mail.example")
# This person is invited to become a clinician of the clinic, by the invitation with this key.
INVITED = Somebody("e11e000006", "Ellen Ellis", "ellen@harbour.example")
INVITATION_KEY = "SGFyYm91ciBjbGluaWNpYW4gaW52aXRl"
# This person offers the clinic access to their data, by the invitation with this key.
OFFERING = Somebody("f0057e0007", "Frank Foster", "frank@mail.example")
OFFER_KEY = "SGFyYm91ciBwYXRpZW50IGludml0ZSAz"
# The name of a backend service.
SERVICE = "demo-service"

# The ids, names and codes are those of the examples in the spec, so that an example can be sent to the demo as it stands.
CLINIC_ID = "65f1c0de0a1b2c3d4e5f6a7b"
CLINIC_NAME = "Harbour Diabetes Centre"
SHARE_CODE = "HRBR-2Q7K-M9XD"
