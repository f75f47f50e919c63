"""The spec as data: reads the YAML files, bundles those of an API into one document, and lists its operations.

Nothing in here knows how requests are served. `spec check`, which does, is in `cli/spec/`. The files are plain OpenAPI
3.0.3 with references between files, so any other OpenAPI program can read them too.
"""
