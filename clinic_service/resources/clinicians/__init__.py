"""The members of clinics: people, service accounts and pending invitations."""
