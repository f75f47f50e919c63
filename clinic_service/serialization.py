"""How rows are spelled on the wire: the base of every marshmallow schema.

A schema names the members and says how times look and what is left out; what is *valid* is said by the spec alone, so
schemas carry no limits. Reading (`load`) is marshmallow's. Writing (`dump`) is compiled from the same fields once, since
marshmallow's general way costs more than the rest of a request together; a test holds the two against each other.
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

JsonObject = dict[str, Any]
Convert = Callable[[Any], Any]


def camel_case(name: str) -> str:
    """`created_time` as `createdTime`."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


class WireTime(fields.Field[datetime]):
    """A point in time: UTC with milliseconds on the wire, an aware datetime in here."""

    def _serialize(self, value: datetime | str | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return None if value is None else to_wire(value)

    def _deserialize(self, value: str, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:  # noqa: ARG002
        try:
            return clock.from_wire(value)
        except ValueError:
            # The spec's format also admits what no calendar library holds, such as leap seconds.
            raise BadRequest(violations=[Violation(f"/body/{attr}", "format", "date-time")]) from None


class WireNested(fields.Nested):
    """An object within a body. What cannot be read in it is named by its place in the whole body."""

    def _deserialize(self, value: Any, attr: str | None, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value, attr, *args, **kwargs)
        except BadRequest as error:
            raise BadRequest(violations=moved(error.violations, f"/body/{attr}")) from None


def moved(violations: Iterable[Violation], place: str) -> list[Violation]:
    """The violations of a part of a body, as those of the whole body in which the part stands at `place`."""
    return [violation._replace(pointer=place + violation.pointer.removeprefix("/body")) for violation in violations]


class WireEnum(fields.String):
    """A member of a StrEnum, by its value."""


class Computed(fields.Field[Any]):
    """A member of answers that is computed from the whole row."""

    def __init__(self, compute: Convert, **kwargs: Any) -> None:
        super().__init__(dump_only=True, **kwargs)
        self.compute = compute

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> Any:  # noqa: ARG002
        return self.compute(obj)


class WireSchema(Schema):
    """Members are camelCase on the wire; unknown and read-only ones in a body are ignored.

    On the way out a member that is None is left out, unless `when_none` says what stands in its place.
    """

    class Meta:
        unknown = EXCLUDE

    when_none: ClassVar[Mapping[str, Any]] = {}

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        if field_obj.data_key is None:
            field_obj.data_key = camel_case(field_name)

    @overload
    def dump(self, obj: Any, *, many: Literal[False] | None = None) -> JsonObject: ...
    @overload
    def dump(self, obj: Any, *, many: Literal[True]) -> list[JsonObject]: ...
    @overload
    def dump(self, obj: Any, *, many: bool | None = None) -> JsonObject | list[JsonObject]: ...
    def dump(self, obj: Any, *, many: bool | None = None) -> JsonObject | list[JsonObject]:
        """The wire form of `obj`: a row, a model or anything else with the attributes; of each of them when `many`."""
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
    """A JSON document whose text is sent as it was stored.

    To the check of answers it is an empty object, because it was checked when it was stored.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


def to_json(answer: Any) -> bytes:
    """The text of an answer, documents as they were stored."""
    return orjson.dumps(answer, default=_spliced, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def _spliced(value: object) -> orjson.Fragment:
    if isinstance(value, StoredJson):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} has no JSON form.")


def to_wire(time: datetime | str) -> str:
    """A point in time as it is sent."""
    # A row that is only passed on holds the text already (`db.types.WireTime`).
    return time if isinstance(time, str) else clock.to_wire(time)


def _converter(field: fields.Field[Any]) -> Convert | None:
    """How the values of `field` are written; None when they are sent as they are."""
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
