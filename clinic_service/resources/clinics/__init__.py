"""Clinics themselves: their profile, share codes, tier and notifications.

Other groups reach them through `uow.clinics` only; `clinic_schema` is nested by the answers that hold a clinic.
"""
