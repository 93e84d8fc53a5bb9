"""What both clients in Python share: where to connect, and how they say what they saw."""

import json
import os

HOST = os.environ["DAYPASS_HOST"]
PORT = int(os.environ["DAYPASS_PORT"])
USER = os.environ["DAYPASS_USER"]
# Whose sessions are ended while a query runs.
ENDS = os.environ["DAYPASS_ENDS"]
PASSWORD = os.environ["DAYPASS_PASSWORD"]
DATABASE = os.environ["DAYPASS_DATABASE"]
CA = os.environ["DAYPASS_CA"]
# Of somebody else: what it did not sign must not be trusted.
STRANGER = os.environ["DAYPASS_STRANGER"]

RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query IN ('SELECT pg_sleep(50)', 'SELECT pg_sleep(4)')"


def saw(check, what):
    print(json.dumps({"check": check, "saw": what}), flush=True)
