"""`clinic-service mock`: answers every operation of an OpenAPI document without handlers.

Requests pass the same pipeline as in the service: Connexion reads the document; `BaseDispatcher` reads parameters and
bodies, refuses invalid requests, and validates the answer. There are two differences: the resolver finds the answers that
the document declares instead of handlers, and the dispatcher uses no database. An answer is an example in the document, or
is generated from the schema; the header `Prefer` chooses.

Any document of OpenAPI 3.0 can be served. `parameters.py` and `bodies.py` read the forms of parameters and bodies that the
service's own spec does not use. A document with operations that cannot be answered is refused at the start, with file and
line.
"""
