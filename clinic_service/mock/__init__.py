"""`clinic-service mock`: every operation of an OpenAPI document answers, before anybody has written a handler.

Requests pass the same pipeline as in the service: Connexion walks the document, `BaseDispatcher` reads parameters and
bodies, refuses what does not fit, and checks the answer. Two things differ: the resolver finds the answers that the
document declares instead of handlers, and the dispatcher asks no database. An answer is an example of the document, or
is made from the schema; the header `Prefer` chooses.

The document may be any of OpenAPI 3.0. What the service cannot read, because its own spec has no such thing, has a
module here: `parameters.py` and `bodies.py`. What cannot be answered is refused at the start, with file and line.
"""
