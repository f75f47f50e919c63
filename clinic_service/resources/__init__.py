"""The operations: one package for each group of the spec, named after its file under `spec/clinic/paths/`.

`handlers.py` has one function for each operation: it loads the body with a schema, calls a function, and dumps the answer
with a schema. `service.py` has the rules for changes. `repository.py` sends the queries. `schemas.py` defines the JSON of
requests and responses. Handlers may read through a repository; every change goes through a service function. Groups do
not import each other, except that a schema may nest a schema of another group: what two groups share is a method of a
repository or a model.
"""
