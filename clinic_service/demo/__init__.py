"""Made-up data: a believable clinic to try the API on (`clinic`), and clinics of any size (`load`)."""
