"""Who may do what with whose data: direct grants, and what follows from them and from clinics."""
