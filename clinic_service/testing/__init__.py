"""For the tests of programs that call this server: a pytest plugin with a server, or a mock, that the tests may change.

The plugin is active wherever clinic-service and pytest are installed. Its fixtures are in `plugin`. A test run that uses
none of them imports only that module. The servers are processes of their own, so they share nothing with the tests but
the database, which `db.snapshot` puts back between tests.
"""

from clinic_service.testing.servers import ClinicMock, ClinicServer, DemoCaller

__all__ = ["ClinicMock", "ClinicServer", "DemoCaller"]
