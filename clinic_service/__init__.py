"""clinic-service: Tidepool's Clinics API and Access API as one self-hostable, spec-first server.

The OpenAPI files under `spec/` define the operations. `api/` compiles each operation into a plan and runs it in one
transaction. `resources/` holds what the operations do, one folder for each group of the spec. `models/` holds the tables,
and `db/` everything that differs between the databases.
"""

__version__ = "0.1.0"
