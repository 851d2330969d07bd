"""The tables of a store of runs."""

# The format of the file, as its `user_version`.
VERSION = 1

COLUMNS = (
    "id, created, updated, state, reason, question, answer, signature, model, sub_model, program, "
    "spend, parent, version, record, pid, host"
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    signature TEXT NOT NULL,
    model TEXT NOT NULL,
    sub_model TEXT NOT NULL,
    program TEXT NOT NULL,
    spend TEXT NOT NULL,
    parent TEXT NOT NULL,
    version INTEGER NOT NULL,
    record TEXT NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    about TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_time ON runs (created);
CREATE TABLE IF NOT EXISTS events (
    run TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    messages TEXT,
    outputs TEXT,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS texts (
    hash TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS uses (
    run TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (run, hash)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uses_by_hash ON uses (hash);
CREATE TABLE IF NOT EXISTS ratings (
    run TEXT NOT NULL,
    at REAL NOT NULL,
    verdict TEXT NOT NULL,
    gold TEXT NOT NULL,
    note TEXT NOT NULL
);
"""

# Only where a monthly cap is set: what each run, and all of them (""), spent and have reserved, in
# dollars, by month; `seen` is the run's `updated` when its events were summed up.
MONTHS = """
CREATE TABLE IF NOT EXISTS months (
    month TEXT NOT NULL,
    run TEXT NOT NULL,
    settled REAL NOT NULL DEFAULT 0,
    reserved REAL NOT NULL DEFAULT 0,
    seen REAL,
    PRIMARY KEY (month, run)
) WITHOUT ROWID;
"""
