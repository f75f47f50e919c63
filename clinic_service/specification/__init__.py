"""The spec as data: reads the YAML files, bundles those of an API into one document, and lists its operations.

Nothing in here serves requests or knows how they are served; `spec check`, which knows both, is in `cli/spec/`. The files
are plain OpenAPI 3.0.3 with references to files; no merge step of our own is needed to read them, so any other OpenAPI
program can.
"""
