"""Invitations: of clinics to future clinicians, and of patients who offer a clinic access to their data.

Every change of an invitation happens while the row of its clinic is locked, so that of two answers to one invitation, and
of two equal invitations, exactly one succeeds. `service.py` has the rules of the first kind, `offers.py` of the second.
"""
