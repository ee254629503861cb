"""Run the benchmarks and print each figure beside its baseline."""

import argparse
from collections.abc import Awaitable
from pathlib import Path
from typing import Final, Protocol

import uvloop

from bench import (
    archive_lag,
    archive_page,
    archive_sink,
    checkpoints,
    console,
    create_and_wait,
    delivery,
    fanout,
    first_event,
    machine,
    memory,
    publish,
    replay,
    resume,
    scrape,
    search,
)
from bench.report import Figure, Section, markdown, print_section
from bridge.garbage import collect_seldom

RESULTS: Final = Path(__file__).with_name("RESULTS.md")


class Measurement(Protocol):
    """A module that measures one thing.

    Attributes:
        TITLE: What it is, in one line.
    """

    TITLE: str

    def measure(self, *, smoke: bool) -> Awaitable[list[Figure]]:
        """Measure; ``smoke`` only shows that it runs."""


MEASUREMENTS: Final[dict[str, Measurement]] = {
    module.__name__.rsplit(".", 1)[1]: module
    for module in (
        publish,
        first_event,
        fanout,
        delivery,
        replay,
        resume,
        checkpoints,
        create_and_wait,
        memory,
        scrape,
        archive_sink,
        archive_lag,
        archive_page,
        search,
        console,
    )
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small sizes: only show that it runs")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="may be repeated")
    parser.add_argument(
        "--write", action="store_true", help=f"record the figures in {RESULTS.name}"
    )
    given = parser.parse_args()
    if given.write and (given.smoke or given.only):
        parser.error("only a whole run in full size is recorded")
    return given


async def run(given: argparse.Namespace) -> None:
    """Run what was asked for."""
    facts = await machine.facts()
    for name, value in facts:
        print(f"{name}: {value}")
    sections = []
    for name in given.only or MEASUREMENTS:
        figures = await MEASUREMENTS[name].measure(smoke=given.smoke)
        sections.append(Section(name, MEASUREMENTS[name].TITLE, figures))
        print()
        print_section(sections[-1])
    if given.write:
        RESULTS.write_text(markdown("python -m bench --write", facts, sections), encoding="utf-8")


machine.raise_open_files()
collect_seldom()  # as the roles do when they start
uvloop.run(run(arguments()))
