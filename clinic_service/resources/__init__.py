"""The operations: one package for each group of the spec, named after its file under `spec/clinic/paths/`.

`handlers.py` has one function for each operation: it loads the body with a schema, calls a function, and dumps the answer
with a schema. `service.py` has the rules for changes. `repository.py` sends the queries. `schemas.py` defines the JSON of
requests and responses. Handlers may read through a repository; every change goes through a service function. A group may
call the rules of another group and nest its schemas, but the calls form no cycle. It never calls the handlers of another
group, and it reaches all repositories through the unit of work. `tests/architecture/test_imports.py` checks this.
"""
