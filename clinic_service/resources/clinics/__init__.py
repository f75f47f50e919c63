"""Clinics: their profile, share codes, tier and notifications.

Other groups use clinics only through `uow.clinics`; responses that contain a clinic nest `clinic_schema`.
"""
