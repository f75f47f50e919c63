"""Made-up data: the clinic of `serve --demo` (`clinic`), and clinics of any size for `demo load` (`load`)."""
