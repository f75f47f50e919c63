"""The spec as data: reading the YAML files, bundling them, checking them, and telling an editor what is left to do.

Nothing in here serves requests. The files are plain OpenAPI 3.0.3 with references to files; no merge step of our own is
needed to read them, so any other OpenAPI program can.
"""
