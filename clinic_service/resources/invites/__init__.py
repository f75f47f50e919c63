"""Invitations: a clinic invites a clinician, or a patient offers a clinic access to their data.

Every change of an invitation locks the row of its clinic, so exactly one of two answers to one invitation, and exactly one
of two equal invitations, succeeds. `service.py` has the rules of the first kind, `offers.py` those of the second.
"""
