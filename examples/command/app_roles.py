#!/usr/bin/env python3
"""A program for Daypass's `command` targets (docs/providers/command.md): roles in an application's own SQLite table.

    server.yaml:  programs: {app-roles: {path: /opt/daypass/app_roles.py, args: [/srv/app/app.db, reader, support],
                                         own_expiry: true}}
    policy:       connectors: [{name: app, kind: command, config: {program: app-roles}}]
                  roles: {support: {role: support}}

The first argument is the database, the others are the roles that Daypass may give: what policy says beyond them is refused.
The application decides by this table, and looks at the limit each time; so a role ends by itself, with Daypass gone:

    CREATE TABLE user_roles (id TEXT PRIMARY KEY, login TEXT NOT NULL, role TEXT NOT NULL,
                             valid_until TEXT,               -- RFC 3339 in UTC, or NULL: for ever
                             made_by TEXT NOT NULL);
    SELECT 1 FROM user_roles WHERE login = ? AND role = ?
      AND (valid_until IS NULL OR julianday(valid_until) > julianday('now'));

Python's standard library only, 3.9 or newer.
"""

import json
import sqlite3
import sys
from pathlib import Path

VERSION = 1


class Refused(Exception):
    """Why it cannot be done: a kind that Daypass knows, and words for people."""

    def __init__(self, kind, detail):
        super().__init__(detail)
        self.answer = {"result": "error", "error": kind, "detail": detail}


def provision(db, allowed, mark, question):
    key, login, until = question["key"], question["holder"], question["until"]
    role = question["role"]["config"].get("role")
    if set(question["role"]["config"]) != {"role"} or role not in allowed:
        raise Refused("misconfigured", f"a role is {{role: NAME}}, and may be {', '.join(allowed)}")
    made_by = made(db, key)
    if made_by is None:
        # Who has the role anyway would still have it afterwards.
        others = "SELECT 1 FROM user_roles WHERE login = ? AND role = ? AND made_by NOT LIKE 'daypass:%'"
        if db.execute(others, (login, role)).fetchone():
            raise Refused("already-standing", f"{login} has the role {role} already")
    elif made_by != mark:
        raise Refused("already-standing", "somebody else made what has this key")
    db.execute(
        "INSERT INTO user_roles VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "login = excluded.login, role = excluded.role, valid_until = excluded.valid_until",
        (key, login, role, until, mark),
    )
    return {"result": "done"}


def revoke(db, _allowed, mark, question):
    db.execute("DELETE FROM user_roles WHERE id = ? AND made_by = ?", (question["key"], mark))
    return {"result": "done"}


def inspect(db, _allowed, mark, question):
    found = db.execute(
        "SELECT valid_until FROM user_roles WHERE id = ? AND made_by = ?", (question["key"], mark)
    ).fetchone()
    return {"result": "present", "until": found[0]} if found else {"result": "absent"}


def list_keys(db, _allowed, mark, _question):
    rows = db.execute("SELECT id FROM user_roles WHERE made_by = ?", (mark,))
    return {"result": "keys", "keys": [key for (key,) in rows]}


VERBS = {"provision": provision, "revoke": revoke, "inspect": inspect, "list": list_keys}


def made(db, key):
    """Who made the row of this key; None where there is none."""
    found = db.execute("SELECT made_by FROM user_roles WHERE id = ?", (key,)).fetchone()
    return found and found[0]


def answer(arguments, line):
    question = json.loads(line)
    if question.get("version") != VERSION:
        raise Refused("bug", f"this program speaks version {VERSION}")
    verb = VERBS.get(question["verb"])
    if verb is None:
        raise Refused("bug", "there is no such verb")
    path, *allowed = arguments
    try:
        # Opened and never made: a database that is not there is not an empty one.
        db = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=rw", uri=True, timeout=10)
        # One transaction for each question; what reads before it writes takes the lock at once.
        db.isolation_level = None
        db.execute("BEGIN IMMEDIATE")
        said = verb(db, allowed, f"daypass:{question['installation']}", question)
        db.execute("COMMIT")
        return said
    except sqlite3.OperationalError as error:
        raise Refused("unavailable", f"{path}: {error}") from error


def main():
    try:
        said = answer(sys.argv[1:], sys.stdin.readline())
    except Refused as refused:
        said = refused.answer
    # Anything else that goes wrong ends with a traceback and exit code 1: Daypass calls that a bug and shows the end of it.
    print(json.dumps({"version": VERSION, **said}))


main()
