"""Compares two documents of one API, operation by operation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from clinic_service.cli.spec.diff.callers import access_changes, limit_changes, scheme_changes, security_changes
from clinic_service.cli.spec.diff.changes import Change
from clinic_service.cli.spec.diff.messages import body_changes, parameter_changes, response_changes
from clinic_service.cli.spec.diff.part import Part
from clinic_service.cli.spec.diff.rules import change, word_changes
from clinic_service.cli.spec.diff.schemas import SchemaComparison
from clinic_service.specification.apis import METHODS, Api

_URL_PARAMETER = re.compile(r"\{([^}]*)\}")
_WORDS = ("summary", "description", "externalDocs", "x-writes", "servers", "callbacks")


@dataclass(frozen=True)
class _Operation:
    """An operation of one of the documents, and the path item and the document that it is a part of."""

    part: Part
    item: Part
    root: Part
    path: str

    @property
    def name(self) -> str:
        return str(self.part.value.get("operationId", f"{self.part.keys[-1]} {self.path}"))

    @property
    def url_names(self) -> list[str]:
        return _URL_PARAMETER.findall(self.path)

    @property
    def security(self) -> Part | None:
        return self.part.get("security") or self.root.get("security")

    def parameters(self) -> dict[tuple[str, str], Part]:
        """The parameters by place and name. A parameter of the operation replaces an equal one of its URL."""
        found = [one.resolved() for one in (*self.item.items("parameters"), *self.part.items("parameters"))]
        return {(part.value["in"], part.value["name"]): part for part in found}


def compare(old: Api, new: Api) -> list[Change]:
    """All changes from `old` to `new`, each once."""
    roots = _root(old), _root(new)
    found = [replace(one, operation=new.name) for one in _document_changes(*roots)]
    before, after = _operations(roots[0]), _operations(roots[1])
    for key, operation in before.items():
        if key in after:
            found += [replace(one, operation=after[key].name) for one in _changes(operation, after[key])]
        else:
            found.append(_removed(operation, is_url_left=any(url == key[1] for _, url in after)))
    for key, operation in after.items():
        if key not in before:
            added = change("endpoint-added", "the operation was added", None, operation.part)
            found.append(replace(added, operation=operation.name))
    return list(dict.fromkeys(found))


def _root(api: Api) -> Part:
    return Part(api, (), api.document)


def _operations(root: Part) -> dict[tuple[str, str], _Operation]:
    """The operations by method and URL, in which the names of parameters do not count."""
    found = {}
    for path, item in root.members("paths").items():
        for method in METHODS:
            part = item.get(method)
            if part:
                found[method, _URL_PARAMETER.sub("{}", path)] = _Operation(part, item, root, path)
    return found


def _document_changes(old: Part, new: Part) -> Iterator[Change]:
    yield from word_changes(("tags", "externalDocs"), "the document", old, new)
    before, after = old.get("info"), new.get("info")
    if before and after:
        names = sorted((before.value.keys() | after.value.keys()) - {"version"})
        yield from word_changes(names, "the document", before, after)
    servers = [{item.value["url"]: item for item in part.items("servers")} for part in (old, new)]
    for url in servers[0] | servers[1]:
        before, after = servers[0].get(url), servers[1].get(url)
        if before is None or after is None:
            verb = "removed" if after is None else "added"
            yield change(f"api-server-{verb}", f"the server {url} was {verb}", before, after)
        else:
            yield from word_changes(("description",), f"the server {url}", before, after)
    schemes = [part.get("components") for part in (old, new)]
    yield from scheme_changes(*(part.members("securitySchemes") if part else {} for part in schemes))


def _removed(operation: _Operation, *, is_url_left: bool) -> Change:
    what = "api" if is_url_left else "api-path"
    how = "with" if operation.part.value.get("deprecated") else "without"
    found = change(f"{what}-removed-{how}-deprecation", "the operation was removed", operation.part, None)
    return replace(found, operation=operation.name)


def _changes(old: _Operation, new: _Operation) -> Iterator[Change]:
    before, after = old.part, new.part
    renamed = dict(zip(old.url_names, new.url_names, strict=True))
    for name, other in renamed.items():
        if name != other:
            text = f"the path parameter {name!r} is called {other!r}"
            yield change("request-path-parameter-renamed", text, old.item, new.item)
    yield from _name_changes(before, after)
    yield from word_changes(_WORDS, "the operation", before, after)
    yield from access_changes(before, after, renamed)
    yield from limit_changes(before, after)
    yield from security_changes(old.security, new.security)
    schemas = SchemaComparison()
    parameters = {
        (where, renamed.get(name, name) if where == "path" else name): part
        for (where, name), part in old.parameters().items()
    }
    yield from parameter_changes(parameters, new.parameters(), schemas)
    yield from body_changes(_body(before), _body(after), schemas)
    yield from response_changes(before.members("responses"), after.members("responses"), schemas)


def _body(operation: Part) -> Part | None:
    body = operation.get("requestBody")
    return body.resolved() if body else None


def _name_changes(old: Part, new: Part) -> Iterator[Change]:
    names = old.get("operationId"), new.get("operationId")
    if names[0] and (names[1] is None or names[0].value != names[1].value):
        yield change("api-operation-id-removed", f"the operationId {names[0].value} was removed", *names)
    elif names[1] and not names[0]:
        yield change("api-operation-id-added", f"the operationId {names[1].value} was added", *names)
    tags = [{item.value: item for item in part.items("tags")} for part in (old, new)]
    for tag in tags[0] | tags[1]:
        if (tag in tags[0]) != (tag in tags[1]):
            verb = "removed" if tag in tags[0] else "added"
            yield change(f"api-tag-{verb}", f"the tag {tag!r} was {verb}", tags[0].get(tag), tags[1].get(tag))
    deprecated = [part.value.get("deprecated") is True for part in (old, new)]
    if deprecated[0] != deprecated[1]:
        id_ = "endpoint-deprecated" if deprecated[1] else "endpoint-reactivated"
        yield change(id_, f"deprecated is {deprecated[1]}", old.get("deprecated"), new.get("deprecated"))
