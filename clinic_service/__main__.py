"""`python -m clinic_service` is the command `clinic-service`."""

from clinic_service.cli import main

if __name__ == "__main__":
    main()
