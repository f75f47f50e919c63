"""Makes the answers of the mock from the responses of a document: validates examples, and generates missing ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clinic_service.api.validation import Validators
from clinic_service.mock.answers import Content, Declared, Headers
from clinic_service.mock.media import concrete, is_json
from clinic_service.mock.schemas import Schema, flattened, type_of
from clinic_service.mock.values import NoValue, Values
from clinic_service.serialization import to_json
from clinic_service.specification.apis import Api
from clinic_service.specification.source import Place

# Reports what cannot be answered, and its place in the document.
Report = Callable[[Place, str], None]
Node = dict[str, Any]
# The server sets the first three itself. An example of the last one would be wrong, because the mock stores no answers.
_OWN_HEADERS = frozenset({"content-type", "content-length", "cache-control", "idempotent-replayed"})


class Responses:
    """Reads the responses of one document."""

    def __init__(self, api: Api, validators: Validators, values: Values, seed: str, report: Report) -> None:
        self._api, self._validators, self._values = api, validators, values
        self._seed, self._report = seed, report

    def declared(self, responses: Mapping[str, Node], place: Place) -> dict[str, Declared]:
        """The answers by status, from the `responses` at `place`.

        The answer `default` gets the status 500, or 200 in an operation without a success.
        """
        found = {status.upper(): (place / status, node) for status, node in responses.items() if status[0] != "1"}
        default = found.pop("DEFAULT", None)
        if default is not None:
            has_success = any(status[0] in "23" for status in found)
            found.setdefault("500" if has_success else "200", default)
        return {status: self._answer(node, place) for status, (place, node) in found.items()}

    def _answer(self, node: Node, place: Place) -> Declared:
        response, place = self._followed("responses", node, place)
        contents = [
            content
            for media_type, described in response.get("content", {}).items()
            if (content := self._content(media_type, described, place / "content" / media_type))
        ]
        if response.get("content") and not contents:
            self._report(
                place / "content", "nothing can be answered in these media types: an example as text is missing"
            )
        return Declared(self._headers(response, place / "headers"), contents)

    def _content(self, declared: str, described: Node, place: Place) -> Content | None:
        media_type, schema = concrete(declared), described.get("schema")
        examples = dict(self._examples(described, place))
        if is_json(media_type):
            if schema is not None:
                for name, (here, example) in examples.items():
                    self._judge(schema, example, here, name)
            values = {name: example for name, (_, example) in examples.items()}
            return Content(media_type, schema, values or self._sample(schema or {}, place))
        texts = {name: example for name, (_, example) in examples.items() if isinstance(example, str)}
        if not texts and schema is not None and type_of(flattened(self._api, schema)) not in (None, "string"):
            # XML and similar types need an example as text, because the mock cannot serialize values to them.
            return None
        text = schema if schema is not None and type_of(flattened(self._api, schema)) else {"type": "string"}
        return Content(media_type, text, texts or self._sample(text, place))

    def _examples(self, described: Node, place: Place) -> Iterator[tuple[str, tuple[Place, Any]]]:
        if "example" in described:
            yield "", (place / "example", described["example"])
        for name, node in described.get("examples", {}).items():
            example, here = self._followed("examples", node, place / "examples" / name)
            # Other examples are external (`externalValue`).
            if "value" in example:
                yield name, (here / "value", example["value"])

    def _judge(self, schema: Schema, example: Any, place: Place, name: str) -> None:
        for violation in self._validators.response(schema).violations(example, "")[:1]:
            words = f"the example {name!r}" if name else "the example"
            self._report(
                place.at(violation.pointer),
                f"{words} does not fit its schema at {violation.pointer or '/'} ({violation.rule})",
            )

    def _sample(self, schema: Schema, place: Place) -> dict[str, Any]:
        try:
            return {"": self._values.sample(schema, f"{self._seed} {place.keys}")}
        except NoValue as error:
            self._report(place, f"there is no example, and none can be made: {error}")
            return {"": None}

    def _headers(self, response: Node, place: Place) -> Headers:
        made = {
            name: self._header(*self._followed("headers", node, place / name))
            for name, node in response.get("headers", {}).items()
            if name.lower() not in _OWN_HEADERS
        }
        return [(name, text) for name, text in made.items() if text.isascii() and text.isprintable()]

    def _header(self, node: Node, place: Place) -> str:
        schema = node.get("schema", {"type": "string"})
        examples = dict(self._examples(node, place)) or {"": (place, self._sample(schema, place)[""])}
        _, value = next(iter(examples.values()))
        items = value if isinstance(value, list) else [value]
        return ",".join(item if isinstance(item, str) else to_json(item).decode() for item in items)

    def _followed(self, kind: str, node: Node, place: Place) -> tuple[Node, Place]:
        """The target of the reference `node`, and its place; both arguments unchanged when it is not a reference."""
        if "$ref" not in node:
            return node, place
        name = node["$ref"].rsplit("/", 1)[-1]
        return self._api.component(node["$ref"]), self._api.bundle.places[kind, name]
