"""Which namespaces hold items; told from subjects alone, as far as their labels are ids."""

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bridge.ids import token

#: Stands for any label of a pattern.
ANY_LABEL: Final = "*"

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamespacePattern:
    """What a namespace must look like.

    Attributes:
        labels: Its labels; ``*`` stands for any one.
        end: Whether it must begin or end with them.
    """

    labels: Labels
    end: Literal["prefix", "suffix"] = "prefix"

    @property
    def literal_prefix(self) -> Labels:
        """The labels that every matching namespace begins with."""
        if self.end == "suffix":
            return ()
        wild = [index for index, label in enumerate(self.labels) if label == ANY_LABEL]
        return self.labels[: wild[0]] if wild else self.labels

    def matches(self, tokens: Labels) -> bool:
        """Whether a namespace, given by its tokens, is like this."""
        count = len(self.labels)
        if len(tokens) < count:
            return False
        part = tokens[:count] if self.end == "prefix" else tokens[len(tokens) - count :]
        pairs = zip(part, self.labels, strict=True)
        return all(label == ANY_LABEL or found == token(label) for found, label in pairs)


async def collect(
    pages: AsyncIterable[Mapping[str, Labels]],
    patterns: Sequence[NamespacePattern],
    max_depth: int | None,
) -> dict[Labels, str]:
    """Return the namespaces that match, cut at a depth, in a stable order.

    Args:
        pages: The tokens of namespaces by the subjects of items in them.
        patterns: What a namespace must look like, all of them.
        max_depth: Labels that are kept of each; ``None`` means all.

    Returns:
        The subject of an item in it, by the tokens of each namespace.
    """
    found: dict[Labels, str] = {}
    async for page in pages:
        for subject, tokens in page.items():
            if all(pattern.matches(tokens) for pattern in patterns):
                found.setdefault(tokens[:max_depth], subject)
    return dict(sorted(found.items()))
