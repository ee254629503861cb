"""Keep sums over all runs as they happen: tokens per model, seconds per tool, each event once.

Usage: ``python running_sums.py [SUMS.db]`` with the server at JETRUN_NATS__URL (default
nats://127.0.0.1:4222). Makes a run, adds what its events tell to sums in SQLite, and prints them.
A delivery may come twice, and not always in order; the sums and the event's number are written in
one transaction, so an event that was added is passed over. Started again with the same file it goes
on where it stopped; started twice at a time, the two share the events.
"""

import asyncio
import sqlite3
import sys
from contextlib import closing

from follow_and_publish import settings

from bridge import JetStreamBridge, StreamEvent, new_id

IDLE_S = 2.0
TABLES = """
    CREATE TABLE IF NOT EXISTS sums (what TEXT, name TEXT, total REAL, PRIMARY KEY (what, name));
    CREATE TABLE IF NOT EXISTS added (run_id TEXT, run_seq INTEGER, PRIMARY KEY (run_id, run_seq));
"""
ADD = """
    INSERT INTO sums VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET total = total + excluded.total
"""
NOTE = "INSERT OR IGNORE INTO added VALUES (?, ?)"


async def make_a_run(bridge: JetStreamBridge) -> None:
    """Publish what two models and a tool used."""
    run_id = new_id()
    await bridge.create(run_id, thread_id="examples")
    for model, tokens in (("small", 120), ("large", 900), ("small", 30)):
        await bridge.publish(run_id, "usage", {"model": model, "tokens": tokens}, category="trace")
    await bridge.publish(run_id, "tool", {"name": "search", "seconds": 1.5}, category="trace")
    await bridge.publish_end(run_id)


def add(sums: sqlite3.Connection, event: StreamEvent) -> None:
    """Add what an event tells, unless it was added before."""
    with sums:
        if not sums.execute(NOTE, (event.run_id, event.run_seq)).rowcount:
            return
        if event.event == "usage":
            sums.execute(ADD, ("tokens", event.data["model"], event.data["tokens"]))
        elif event.event == "tool":
            sums.execute(ADD, ("seconds", event.data["name"], event.data["seconds"]))


async def main(path: str) -> None:
    """Add up everything that is there, and print the sums."""
    async with JetStreamBridge(settings()) as bridge:
        await make_a_run(bridge)
        with closing(sqlite3.connect(path)) as sums:
            sums.executescript(TABLES)
            async with bridge.consume("sums", categories=["trace"]) as deliveries:
                while found := await deliveries.fetch(100, wait_s=IDLE_S):
                    for delivery in found:
                        add(sums, delivery.event)
                        await delivery.ack()
            for row in sums.execute("SELECT what, name, total FROM sums ORDER BY 1, 2"):
                print(*row)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "sums.db"))
