"""The names of Connexion that are used, imported without warnings and without the modules that they do not need.

Importing Connexion 3.3 warns about its own use of two libraries. Nobody who runs this server can act upon that, and the
tests treat warnings as errors.

The packages `connexion` and `connexion.middleware` import all of Connexion's applications, with a test client and two
HTTP clients; another module imports a third HTTP client, to read documents from other servers. Nothing of it is used
here, and it costs 9 MB and a tenth of the start-up.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec


@contextmanager
def _not_executed(*packages: str) -> Iterator[None]:
    """In this block, import modules of the packages without executing the `__init__` of the packages.

    Imports after the block execute it as usual.
    """
    absent = [name for name in packages if name not in sys.modules]
    for name in absent:
        spec = find_spec(name)
        assert spec, "Connexion and what it requires are installed"
        sys.modules[name] = module_from_spec(spec)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with warnings.catch_warnings(), _not_executed("connexion", "connexion.middleware", "requests"):
    warnings.simplefilter("ignore")
    from connexion.middleware.abstract import AbstractRoutingAPI
    from connexion.operations import AbstractOperation
    from connexion.resolver import Resolution, Resolver
    from connexion.spec import OpenAPISpecification

__all__ = ["AbstractOperation", "AbstractRoutingAPI", "OpenAPISpecification", "Resolution", "Resolver"]
