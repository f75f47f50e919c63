"""How rows look on the wire: the base of every marshmallow schema.

A schema defines the names of members, the form of times, and what is left out. Only the spec says what is *valid*, so a
schema has no limits. `load` is marshmallow's. `dump` is compiled once from the same fields, because marshmallow's own
takes longer than the rest of the request; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Literal, overload

import orjson
from marshmallow import EXCLUDE, Schema, fields

from clinic_service import clock
from clinic_service.errors import BadRequest, Violation
from clinic_service.texts import camel_case

JsonObject = dict[str, Any]
Convert = Callable[[Any], Any]


class WireTime(fields.Field[datetime]):
    """A time: RFC 3339 in UTC with milliseconds on the wire, an aware datetime in Python.

    Loading raises BadRequest for a time that cannot be read.
    """

    def _serialize(self, value: datetime | str | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return None if value is None else to_wire(value)

    def _deserialize(self, value: str, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:  # noqa: ARG002
        try:
            return clock.from_wire(value)
        except ValueError:
            # The format of the spec allows times that `datetime` cannot hold, such as leap seconds.
            raise BadRequest(violations=[Violation(f"/body/{attr}", "format", "date-time")]) from None


class WireNested(fields.Nested):
    """An object within a body. Violations in it have pointers that begin at the whole body."""

    def _deserialize(self, value: Any, attr: str | None, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value, attr, *args, **kwargs)
        except BadRequest as error:
            raise BadRequest(violations=moved(error.violations, f"/body/{attr}")) from None


def moved(violations: Iterable[Violation], place: str) -> list[Violation]:
    """The violations of a part of a body, with pointers into the whole body: the part is at the pointer `place` there."""
    return [violation._replace(pointer=place + violation.pointer.removeprefix("/body")) for violation in violations]


class WireEnum(fields.String):
    """A member of a StrEnum. On the wire it is the member's value."""


class Computed(fields.Field[Any]):
    """A member of answers whose value `compute` makes from the whole row."""

    def __init__(self, compute: Convert, **kwargs: Any) -> None:
        super().__init__(dump_only=True, **kwargs)
        self.compute = compute

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> Any:  # noqa: ARG002
        """The value for the row `obj`."""
        return self.compute(obj)


class WireSchema(Schema):
    """The base of all schemas. Members are camelCase on the wire. Unknown and read-only members of a body are ignored.

    `dump` leaves out a member that is None, unless `when_none` has a value for it.
    """

    class Meta:
        """Options of marshmallow."""

        unknown = EXCLUDE

    when_none: ClassVar[Mapping[str, Any]] = {}

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Give the field its name on the wire."""
        if field_obj.data_key is None:
            field_obj.data_key = camel_case(field_name)

    @overload
    def dump(self, obj: Any, *, many: Literal[False] | None = None) -> JsonObject: ...
    @overload
    def dump(self, obj: Any, *, many: Literal[True]) -> list[JsonObject]: ...
    @overload
    def dump(self, obj: Any, *, many: bool | None = None) -> JsonObject | list[JsonObject]: ...
    def dump(self, obj: Any, *, many: bool | None = None) -> JsonObject | list[JsonObject]:
        """The wire form of `obj`, which is a row, a model or another object with the attributes.

        With `many`, `obj` is an iterable of such objects, and the result is the list of their wire forms.
        """
        if many:
            return [self._write(row) for row in obj]
        return self._write(obj)

    def _write(self, row: Any) -> JsonObject:
        made = {}
        for key, attribute, convert in self._writers:
            value = getattr(row, attribute)
            if value is not None:
                made[key] = convert(value) if convert else value
            elif key in self._when_none:
                made[key] = self._when_none[key]
        for key, compute in self._computed:
            value = compute(row)
            if value is not None:
                made[key] = value
        return made

    @cached_property
    def _writers(self) -> list[tuple[str, str, Convert | None]]:
        return [
            (field.data_key or name, field.attribute or name, _converter(field))
            for name, field in self.dump_fields.items()
            if not isinstance(field, Computed)
        ]

    @cached_property
    def _computed(self) -> list[tuple[str, Convert]]:
        found = self.dump_fields.items()
        return [(field.data_key or name, field.compute) for name, field in found if isinstance(field, Computed)]

    @cached_property
    def _when_none(self) -> dict[str, Any]:
        return {self.dump_fields[name].data_key or name: value for name, value in self.when_none.items()}


class StoredJson(dict[str, Any]):
    """A JSON document whose stored text is sent unchanged.

    The check of answers sees an empty object, because the document was checked when it was stored.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


def to_json(answer: Any) -> bytes:
    """The JSON text of an answer, in UTF-8. Each StoredJson in it becomes its stored text."""
    return orjson.dumps(answer, default=_spliced, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def _spliced(value: object) -> orjson.Fragment:
    if isinstance(value, StoredJson):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} has no JSON form.")


def to_wire(time: datetime | str) -> str:
    """`time` as text on the wire. Text is returned as it is."""
    # A row that is only passed on already holds the text (`db.types.WireTime`).
    return time if isinstance(time, str) else clock.to_wire(time)


def _converter(field: fields.Field[Any]) -> Convert | None:
    """The function that turns values of `field` into their wire form; None when values are sent unchanged."""
    if isinstance(field, WireTime):
        return to_wire
    if isinstance(field, WireEnum):
        return str
    if isinstance(field, fields.Nested):
        schema = field.schema
        return lambda value: schema.dump(value, many=field.many)
    if isinstance(field, fields.List):
        inner = _converter(field.inner)
        return (lambda values: [inner(value) for value in values]) if inner else list
    return None
