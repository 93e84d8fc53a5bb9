"""The calls that work, of `world.rs`: each must succeed, with an answer that the description allows.

argv: where the description is, and the checks, with commas between.
"""

import sys

import hooks  # counts, and gives each call an address
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

where, names = sys.argv[1:]
load_all_checks()
checks = [CHECKS.get_one(name) for name in names.split(",")]
schema = schemathesis.openapi.from_url(where)
token = hooks.WORLD["token"]
headers = {"Authorization": f"Bearer {token}"} if token else {}
failed = 0
for call in hooks.WORLD["calls"]:
    method, path = call.pop("route").split(" ")
    case = schema[path][method].Case(**call)
    response = case.call(headers=headers, timeout=30)
    try:
        case.validate_response(response, checks=checks, headers=headers)
        problem = None if response.status_code < 300 else response.text
    except FailureGroup as group:
        problem = str(group)
    if problem is not None:
        failed += 1
        print(f"── {method} {path}: {response.status_code}\n{problem}\n")
sys.exit(bool(failed))
