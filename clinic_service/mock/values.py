"""Generates values from schemas. The same seed gives the same value, and the validator of answers checks each value.

No library generates valid values for all schemas of the spec. jsf fails on every pattern with a Unicode class, does not
terminate for some nested schemas, and installs 36 MB of packages; hypothesis-jsonschema refuses the schemas.
"""

from __future__ import annotations

import math
from itertools import islice
from random import Random
from typing import Any

from clinic_service.api.validation import Validators
from clinic_service.mock.schemas import Schema, combined, flattened, type_of
from clinic_service.mock.texts import candidates
from clinic_service.specification.apis import Api

_TRIES = 25
# The number of attempts to find a text that fits its pattern and its length.
_TEXT_TRIES = 200
# Below the first depth only required members are generated. The second depth is an error.
_DEEP = 8
_TOO_DEEP = 80
_FEW = 3
# The probability that an optional member of a random value is present, and that a nullable value is null.
_OFTEN, _SELDOM = 0.7, 0.1
_RANGE = 1000


class NoValue(Exception):
    """No value that the schema admits was found."""


class Values:
    """Generates values for the schemas of one document."""

    def __init__(self, api: Api, validators: Validators) -> None:
        self._api, self._validators = api, validators

    def sample(self, schema: Schema, seed: str) -> Any:
        """The most complete value of `schema`: it has all members, and the examples in the schema.

        Raises NoValue.
        """
        return self._valid(schema, seed, is_sample=True)

    def random(self, schema: Schema, seed: str) -> Any:
        """A random value of `schema`, which depends on the seed. Raises NoValue."""
        return self._valid(schema, seed, is_sample=False)

    def _valid(self, schema: Schema, seed: str, *, is_sample: bool) -> Any:
        validator = self._validators.response(schema)
        random = Random(seed)
        for number in range(_TRIES):
            # The first alternative or example may be invalid, so later attempts choose at random.
            draw = _Draw(self._api, self._validators, random, is_sample=is_sample and number == 0)
            value = draw.value(schema, 0)
            if validator.is_valid(value):
                return value
        raise NoValue("no value was found that fits the schema")


class _Draw:
    """One attempt to generate a value."""

    def __init__(self, api: Api, validators: Validators, random: Random, *, is_sample: bool) -> None:
        self._api, self._validators = api, validators
        self._random, self._is_sample = random, is_sample
        # The references that lead to the value that is being generated.
        self._open: list[str] = []

    def value(self, schema: Schema, depth: int) -> Any:
        if depth > _TOO_DEEP:
            raise NoValue("the schema requires itself without end")
        if "$ref" not in schema:
            return self._whole(flattened(self._api, schema), depth)
        self._open.append(schema["$ref"])
        try:
            return self._whole(flattened(self._api, schema), depth)
        finally:
            self._open.pop()

    def _whole(self, whole: Schema, depth: int) -> Any:
        for keyword in ("oneOf", "anyOf"):
            if whole.get(keyword):
                return self._alternative(whole, keyword, depth)
        if self._is_sample:
            for keyword in ("example", "default"):
                if keyword in whole:
                    return whole[keyword]
        if whole.get("nullable") and not self._is_sample and self._random.random() < _SELDOM:
            return None
        if "enum" in whole:
            return self._one_of(whole["enum"])
        return self._of_type(whole, depth)

    def _of_type(self, schema: Schema, depth: int) -> Any:
        match type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._text(schema)
            case "integer":
                return self._number(schema, 1)
            case "number":
                return self._number(schema, 0)
            case "boolean":
                return self._is_sample or self._random.random() < 0.5
        return True

    def _one_of(self, values: list[Any]) -> Any:
        if not values:
            raise NoValue("the parts of the schema exclude each other")
        return values[0] if self._is_sample else self._random.choice(values)

    def _alternative(self, schema: Schema, keyword: str, depth: int) -> Any:
        chosen = self._one_of(schema[keyword])
        rest = {key: value for key, value in schema.items() if key not in (keyword, "discriminator")}
        made = self.value(combined(rest, flattened(self._api, chosen)), depth + 1)
        discriminator = schema.get("discriminator")
        if discriminator and isinstance(made, dict) and "$ref" in chosen:
            made[discriminator["propertyName"]] = _discriminated(discriminator, chosen["$ref"])
        return made

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        made = {
            name: self.value(properties.get(name, {}), depth + 1)
            for name in (*properties, *(name for name in required if name not in properties))
            if name in required or (not properties[name].get("writeOnly") and self._is_wanted(properties[name], depth))
        }
        others = schema.get("additionalProperties", True)
        missing = schema.get("minProperties", 0) - len(made)
        if isinstance(others, dict) and not properties and self._is_wanted(others, depth):
            missing = max(missing, min(1, schema.get("maxProperties", 1)))
        for number in range(1, missing + 1):
            made[f"key{number}"] = self.value(others if isinstance(others, dict) else {}, depth + 1)
        return made

    def _is_wanted(self, schema: Schema, depth: int) -> bool:
        """Whether an optional value is generated. A sample does not repeat a schema within itself."""
        if depth >= _DEEP:
            return False
        return schema.get("$ref") not in self._open if self._is_sample else self._random.random() < _OFTEN

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        items = schema.get("items", {})
        wanted = self._random.randint(0, _FEW) if not self._is_sample else int(self._is_wanted(items, depth))
        length = int(min(max(wanted, least), most)) if depth < _DEEP else least
        if not schema.get("uniqueItems"):
            return [self.value(items, depth + 1) for _ in range(length)]
        made: list[Any] = []
        for _ in range(_TEXT_TRIES):
            if len(made) == length:
                break
            item = self._other().value(items, depth + 1)
            if item not in made:
                made.append(item)
        return made

    def _other(self) -> _Draw:
        """A draw with random values, so that they differ from each other."""
        return _Draw(self._api, self._validators, self._random, is_sample=False)

    def _text(self, schema: Schema) -> str:
        is_valid = self._validators.response({**schema, "type": "string"}).is_valid
        try:
            return next(filter(is_valid, islice(candidates(self._random, schema), _TEXT_TRIES)))
        except (StopIteration, ValueError):
            raise NoValue("no text was found that fits the schema") from None

    def _number(self, schema: Schema, whole: int) -> int | float:
        step = schema.get("multipleOf") or whole or 0.5
        least, most = self._bounds(schema, step)
        # The multiples of the step within the bounds.
        first, last = math.ceil(least / step), math.floor(most / step)
        if first > last:
            return self._between(least, most, whole)
        number = self._random.randint(first, last) * step
        return int(number) if whole else number

    def _between(self, least: float, most: float, whole: int) -> float:
        if whole or least > most:
            raise NoValue("no number is within the bounds of the schema")
        return (least + most) / 2

    def _bounds(self, schema: Schema, step: float) -> tuple[float, float]:
        least, most = schema.get("minimum"), schema.get("maximum")
        if least is None:
            least = min(0, most - _RANGE * step) if most is not None else 0
        if most is None:
            most = max(_RANGE, least + _RANGE * step)
        if schema.get("exclusiveMinimum") is True:
            least += step if most - least > step else (most - least) / 4
        if schema.get("exclusiveMaximum") is True:
            most -= step if most - least > step else (most - least) / 4
        return least, most


def _discriminated(discriminator: dict[str, Any], reference: str) -> str:
    """The value of the discriminator for the schema at `reference`."""
    name = reference.rsplit("/", 1)[-1]
    mapping: dict[str, str] = discriminator.get("mapping", {})
    return next(
        (value for value, target in mapping.items() if target.rsplit("/", 1)[-1] in (name, f"{name}.yaml")), name
    )
