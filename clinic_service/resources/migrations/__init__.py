"""The moves of legacy clinic accounts, with their patients, into clinics.

A legacy account gets an empty clinic, its owner completes the profile and asks for the migration. Creating the row of a
migration is what asks for it: a worker learns of it from the outbox, copies the patients and reports how far it is.
"""
