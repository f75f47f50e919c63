"""Access: direct grants between users, and the effective permissions that follow from them and from clinics."""
