"""The changes that a comparison finds, each with its class, its id and its place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from clinic_service.cli.spec.diff.part import Part


class Level(StrEnum):
    """The class of a change: what it means for clients."""

    BREAKING = "breaking"
    """A client may have to change."""
    ADDITIVE = "additive"
    """A client does not have to change."""
    WORDS = "words"
    """Nothing changes on the wire."""


class Direction(StrEnum):
    """Who sends the values that a schema describes: the client or the server."""

    REQUEST = "request"
    RESPONSE = "response"


class Effect(Enum):
    """The effect of a change of a schema on the values that the schema admits."""

    NARROWER = "some are not admitted any more"
    WIDER = "some are admitted that were not"
    OTHER = "both"
    NONE = "neither"

    def level(self, direction: Direction) -> Level:
        """The class of the change.

        A change breaks clients when requests that were valid are refused, or when answers have values that were not valid.
        """
        harmless = Effect.WIDER if direction is Direction.REQUEST else Effect.NARROWER
        return Level.ADDITIVE if self in (harmless, Effect.NONE) else Level.BREAKING


@dataclass(frozen=True)
class Change:
    """One change. `part` is the new part, or the old one where something was removed (`is_old`).

    `operation` is the operationId, or the name of the API for a change that belongs to no operation.
    """

    level: Level
    id: str
    text: str
    part: Part
    is_old: bool
    operation: str = ""

    @classmethod
    def of(cls, level: Level, id_: str, text: str, old: Part | None, new: Part | None) -> Change:
        """The change from the part `old` to the part `new`, of which one may be absent."""
        part = new or old
        assert part, "something that is absent before and after has not changed"
        return cls(level, id_, text, part, new is None)
