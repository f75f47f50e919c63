"""The names of Connexion that are used, imported in silence.

Importing Connexion 3.3 warns about its own use of two libraries. Nobody who runs this server can act upon that, and the
tests treat warnings as errors.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from connexion.middleware.abstract import AbstractRoutingAPI
    from connexion.operations import AbstractOperation
    from connexion.resolver import Resolution, Resolver
    from connexion.spec import OpenAPISpecification

__all__ = ["AbstractOperation", "AbstractRoutingAPI", "OpenAPISpecification", "Resolution", "Resolver"]
