"""The assistants that clients make from declared ones; all processes share them.

An assistant is one state record, changed by compare-and-set. It belongs to who made it: others do
not see it, and cannot start its runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from bridge import InvalidIdError, RunBridge, StateConflictError, check_id, new_id
from runs.admission import refuse_config
from runs.assistant_record import AssistantRecord, AssistantVersion
from runs.catalog import Assistant, AssistantCatalog
from runs.errors import (
    AssistantDeclaredError,
    AssistantExistsError,
    AssistantNotFoundError,
    ContentionError,
)
from runs.models import RunSpec

#: The kind of state record that assistants are.
ASSISTANT: Final = "assistant"
_MAX_CONFLICTS: Final = 16


class Chosen(NamedTuple):
    """What executes a run, and the defaults that it brings.

    Attributes:
        assistant: The declared assistant; under the id of the one that was asked for.
        made: The one that a client made, if it is one.
    """

    assistant: Assistant
    made: AssistantRecord | None = None

    def filled(self, spec: RunSpec) -> RunSpec:
        """Return what is asked for, with the assistant's defaults."""
        return spec if self.made is None else self.made.current.filled(spec)


class AssistantBook:
    """Finds declared assistants, and keeps those that clients make.

    Args:
        bridge: A started bridge.
        catalog: The declared assistants.
        max_versions: Kept of each assistant.
    """

    def __init__(self, bridge: RunBridge, catalog: AssistantCatalog, max_versions: int) -> None:
        self._bridge = bridge
        self._catalog = catalog
        self._max_versions = max_versions

    @property
    def declared(self) -> list[Assistant]:
        """The declared assistants, by name."""
        return [self._catalog.get(name) for name in self._catalog.names]

    async def choose(self, assistant_id: str, *, user_id: str | None = None) -> Chosen:
        """Return the assistant with this name or id.

        Raises:
            AssistantNotFoundError: There is none, or it is someone else's; or what it was made
                from is not declared any more.
            UnavailableError: The server fell silent.
        """
        found = self._catalog.find(assistant_id)
        if found is not None:
            return Chosen(found)
        made, _ = await self._get(assistant_id, user_id)
        executor = self._catalog.get(made.current.graph_id)
        return Chosen(replace(executor, assistant_id=made.assistant_id), made)

    async def made(self, *, user_id: str | None = None) -> list[AssistantRecord]:
        """Return all assistants that clients made and this user may see."""
        states = self._bridge.states
        found = await states.find_many(ASSISTANT, await states.keys(ASSISTANT))
        records = [AssistantRecord.decode(each.value) for each in found]
        return [each for each in records if user_id in (None, each.user_id)]

    async def create(
        self,
        first: AssistantVersion,
        *,
        assistant_id: str | None = None,
        user_id: str | None = None,
        may_exist: bool = False,
    ) -> AssistantRecord:
        """Make an assistant.

        Args:
            first: Its first version; it names the declared assistant by name or id.
            assistant_id: Its id; ``None`` makes one.
            user_id: Its owner.
            may_exist: Whether the one that has the id already is returned.

        Raises:
            AssistantNotFoundError: What it is made from is not declared.
            AssistantExistsError: The id is taken, or was once; nothing was changed.
            UnsupportedOptionError: Its configuration cannot be honoured.
            EventTooLargeError: It is too large.
        """
        record = AssistantRecord(
            assistant_id=new_id() if assistant_id is None else assistant_id,
            user_id=user_id,
            versions=(self._checked(first),),
        )
        key = check_id("assistant_id", record.assistant_id)
        if self._catalog.find(key) is not None:
            raise AssistantExistsError(key)
        try:
            await self._bridge.states.create(ASSISTANT, key, record.encode())
        except StateConflictError as taken:
            if may_exist:
                try:
                    return (await self._get(key, user_id))[0]
                except AssistantNotFoundError:
                    pass  # it is someone else's, or was deleted: its id stays taken
            raise AssistantExistsError(key) from taken
        return record

    async def update(
        self, assistant_id: str, changes: Mapping[str, Any], *, user_id: str | None = None
    ) -> AssistantRecord:
        """Make one more version of an assistant, which new runs take.

        Raises:
            AssistantNotFoundError: There is none, or it is someone else's.
            AssistantDeclaredError: It is declared.
            ContentionError: Others changed it all the time.
        """

        def with_changes(record: AssistantRecord) -> AssistantRecord:
            changed = record.changed(changes, self._max_versions)
            self._checked(changed.current)
            return changed

        return await self._change(assistant_id, user_id, with_changes)

    async def set_latest(
        self, assistant_id: str, version: int, *, user_id: str | None = None
    ) -> AssistantRecord:
        """Let new runs take another version; errors as for :meth:`update`.

        Raises:
            AssistantVersionNotFoundError: There is none, or no more.
        """
        return await self._change(assistant_id, user_id, lambda record: record.at(version))

    async def delete(self, assistant_id: str, *, user_id: str | None = None) -> None:
        """Remove an assistant for good; its runs stay, those under way go on.

        Raises:
            AssistantNotFoundError: There is none, or it is someone else's.
            AssistantDeclaredError: It is declared.
            ContentionError: Others changed it all the time.
        """
        self._refuse_declared(assistant_id)
        for _ in range(_MAX_CONFLICTS):
            _, revision = await self._get(assistant_id, user_id)
            try:
                await self._bridge.states.delete(ASSISTANT, assistant_id, revision=revision)
            except StateConflictError:
                continue
            return
        raise ContentionError(f"assistant {assistant_id}", _MAX_CONFLICTS)

    async def _change(
        self,
        assistant_id: str,
        user_id: str | None,
        change: Callable[[AssistantRecord], AssistantRecord],
    ) -> AssistantRecord:
        self._refuse_declared(assistant_id)
        states = self._bridge.states
        for _ in range(_MAX_CONFLICTS):
            record, revision = await self._get(assistant_id, user_id)
            changed = change(record)
            try:
                await states.update(ASSISTANT, assistant_id, changed.encode(), revision=revision)
            except StateConflictError:
                continue
            return changed
        raise ContentionError(f"assistant {assistant_id}", _MAX_CONFLICTS)

    async def _get(self, assistant_id: str, user_id: str | None) -> tuple[AssistantRecord, int]:
        try:
            found = await self._bridge.states.find(ASSISTANT, assistant_id)
        except InvalidIdError:
            found = None
        if found is not None:
            record = AssistantRecord.decode(found.value)
            if user_id in (None, record.user_id):
                return record, found.revision
        raise AssistantNotFoundError(assistant_id)

    def _refuse_declared(self, assistant_id: str) -> None:
        if self._catalog.find(assistant_id) is not None:
            raise AssistantDeclaredError(assistant_id)

    def _checked(self, version: AssistantVersion) -> AssistantVersion:
        executor = self._catalog.get(version.graph_id)
        refuse_config(version.config, executor)
        return version.model_copy(update={"graph_id": executor.name})
