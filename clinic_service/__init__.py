"""clinic-service: Tidepool's Clinics API and Access API as one self-hostable, spec-first server.

The OpenAPI files under `spec/` say what exists. `api/` turns each operation of them into a plan and runs it inside one
transaction; `resources/` holds what the operations do, one folder for each group of the spec; `models/` holds the
tables; `db/` everything that knows which database it is.
"""

__version__ = "0.1.0"
