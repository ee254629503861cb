"""``jetrun streams``: what an operator makes, so that no other role needs to be able to."""

from typing import Any

from rich.table import Table

from api.cli.console import OUT
from api.cli.options import ConfigOption, NatsOption, given
from api.settings import load_settings
from api.signals import run_until_signalled
from bridge import make_streams


def streams(
    *,
    nats: NatsOption = None,
    config: ConfigOption = None,
) -> None:
    """Make the streams that are absent, verify the others, and show how they are.

    Needs credentials that may make streams; gateways, workers and sinks then need none of that. A
    stream that differs from the settings is an error, and is left as it is.
    """
    settings = load_settings(given({"nats.url": nats, "config": config}))
    found: list[Any] = []

    async def make() -> None:
        found.extend(await make_streams(settings.bridge))

    run_until_signalled(make())
    table = Table("stream", "replicas", "max bytes")
    for each in found:
        size = each.get("max_bytes", -1)
        table.add_row(each["name"], str(each["num_replicas"]), "" if size < 0 else str(size))
    OUT.print(table)
