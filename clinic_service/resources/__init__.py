"""What the operations do: one package for each group of the spec, named after its file under `spec/clinic/paths/`.

`handlers.py` has one function for each operation: read the body through a schema, call, answer through a schema.
`service.py` holds the rules of what changes something. `repository.py` asks the database. `schemas.py` spells rows.
Handlers may read through a repository; whatever writes goes through a service function. Groups do not import each
other, except that a schema may nest another group's: what two groups share is a method of a repository or a model.
"""
