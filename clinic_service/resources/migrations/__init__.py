"""Migrations: moves of a legacy clinician's patients into a clinic.

A legacy account gets an empty clinic. Its owner completes the profile and requests the migration, which adds a row and an
event in the outbox. A worker receives the event, copies the patients and reports its progress.
"""
