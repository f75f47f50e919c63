"""Access: direct grants between users, and the effective permissions that follow from them and from clinics.

`repository.py` computes the effective permissions, and `service.py` has the rules for changing grants.
"""
