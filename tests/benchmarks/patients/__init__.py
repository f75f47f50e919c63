"""What the patient list, and what keeps it up to date, costs in small and large clinics."""
