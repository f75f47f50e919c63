"""The patients of clinics: each clinic keeps a record of its own of the same user."""
