"""Parts of the documents that are compared, which know where in the source they are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clinic_service.specification.apis import Api
from clinic_service.specification.source import Place


@dataclass(frozen=True)
class Part:
    """A value in the document of `api`, and the keys that lead to it.

    `reference` are the keys of the reference by which the value was found; None for a value that was found without one.
    """

    api: Api = field(compare=False)
    keys: tuple[str | int, ...]
    value: Any = field(compare=False)
    reference: tuple[str | int, ...] | None = field(default=None, compare=False)

    @property
    def place(self) -> Place:
        """The place of this part in the source."""
        return self.api.bundle.place(self.keys)

    def get(self, key: str) -> Part | None:
        """The member `key`; None when there is none."""
        return Part(self.api, (*self.keys, key), self.value[key]) if key in self.value else None

    def members(self, key: str) -> dict[str, Part]:
        """The members of the object `key`, with references followed; none when there is no such object."""
        holder = self.get(key)
        return {name: found.resolved() for name in holder.value if (found := holder.get(name))} if holder else {}

    def items(self, key: str) -> list[Part]:
        """The items of the list `key`; none when there is no such list."""
        return [Part(self.api, (*self.keys, key, index), item) for index, item in enumerate(self.value.get(key, []))]

    def resolved(self) -> Part:
        """This part, or the component that it refers to."""
        target = self.value.get("$ref") if isinstance(self.value, dict) else None
        if not isinstance(target, str):
            return self
        found = self.api.component(target)
        return Part(self.api, tuple(target.split("/")[1:]), found, self.reference or self.keys).resolved()

    def as_used(self) -> Part:
        """This part where it is used, which is the place of the reference to it."""
        return Part(self.api, self.reference or self.keys, self.value)
