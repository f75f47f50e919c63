"""The patients of clinics. Each clinic has its own record of a user."""
