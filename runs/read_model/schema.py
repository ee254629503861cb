"""The tables of the read model, and which version of them this code reads.

Times are microseconds since 1970. ``n`` ties a row to its facts.
"""

from typing import Final

#: Raise it with every change of the tables or of what is written into them: files of another
#: version are built anew.
SCHEMA_VERSION: Final = 2

_TABLES: Final = (
    "CREATE TABLE feed (stream TEXT NOT NULL, applied INTEGER NOT NULL)",
    """
    CREATE TABLE threads (
        n INTEGER PRIMARY KEY,
        thread_id TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        user_id TEXT,
        status TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        metadata TEXT NOT NULL,
        is_wide INTEGER NOT NULL,
        is_shown INTEGER NOT NULL,
        is_deleting INTEGER NOT NULL,
        inflight TEXT NOT NULL,
        outputs_run TEXT,
        ttl_strategy TEXT,
        expires_at INTEGER,
        is_trimmed INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE runs (
        n INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        thread_id TEXT NOT NULL,
        user_id TEXT,
        assistant_id TEXT,
        executor TEXT NOT NULL,
        status TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        ended_at INTEGER,
        error TEXT NOT NULL,
        metadata TEXT NOT NULL,
        is_wide INTEGER NOT NULL,
        is_shown INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE thread_facts (
        path TEXT NOT NULL, value TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (path, value, n)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE run_facts (
        path TEXT NOT NULL, value TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (path, value, n)
    ) WITHOUT ROWID
    """,
)

#: By table: the columns of the indexes over what is shown, each in the order of one kind of page.
_ORDERS: Final = {
    "threads": (
        "updated_at, thread_id",
        "created_at, thread_id",
        "user_id, updated_at, thread_id",
        "user_id, created_at, thread_id",
        "status, updated_at, thread_id",
    ),
    "runs": (
        "created_at, run_id",
        "updated_at, run_id",
        "thread_id, created_at, run_id",
        "user_id, created_at, run_id",
        "status, created_at, run_id",
        "executor, created_at, run_id",
    ),
}

STATEMENTS: Final = (
    *_TABLES,
    *(
        f"CREATE INDEX {table}_{number} ON {table} ({columns}) WHERE is_shown = 1"
        for table, orders in _ORDERS.items()
        for number, columns in enumerate(orders)
    ),
    "CREATE INDEX runs_of_thread ON runs (thread_id)",
    "CREATE INDEX threads_hidden ON threads (thread_id) WHERE is_shown = 0",
    "CREATE INDEX runs_hidden ON runs (run_id) WHERE is_shown = 0",
    "CREATE INDEX threads_wide ON threads (thread_id) WHERE is_wide = 1",
    "CREATE INDEX runs_wide ON runs (run_id) WHERE is_wide = 1",
    "CREATE INDEX threads_expiring ON threads (expires_at, thread_id) WHERE expires_at IS NOT NULL",
    "CREATE INDEX runs_ended ON runs (ended_at, run_id) WHERE ended_at IS NOT NULL",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
