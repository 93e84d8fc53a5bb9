"""What the tester is told of the server under test, beyond its description: who calls, and what there is.

DAYPASS_WORLD names a JSON file, see `world.rs`. Every call is counted by its route and status, for `mod.rs` to look at.
"""

import atexit, json, os, zlib

import schemathesis

with open(os.environ["DAYPASS_WORLD"]) as file:
    WORLD = json.load(file)
CALLS = {}
SEEN = [0]


def choose(what, among):
    """One of these: always the same for the same value, so that a run can be repeated and a failure made smaller."""
    return among[zlib.crc32(repr(what).encode()) % len(among)]


def often(what):
    return zlib.crc32(repr(what).encode()[::-1]) % 3 != 0


def lively(value):
    """A generated value with names in it that mean something here: what is said of nothing gets no further than "unknown"."""
    if isinstance(value, list):
        return [lively(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: choose(one, WORLD["known"][key]) if isinstance(one, str) and key in WORLD["known"] and often(one) else lively(one)
        for key, one in value.items()
    }


@schemathesis.auth(refresh_interval=None)
class Caller:
    def get(self, case, context):
        # Logging out works, and would end the caller's part.
        logs_out = context.operation.path == "/api/v1/logout" and WORLD["to_end"]
        return WORLD["to_end"].pop() if logs_out else WORLD["token"]

    def set(self, case, token, context):
        if token is not None:
            case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(context, case, kwargs):
    # Each call has an address of its own: how fast strangers may call is another test's.
    SEEN[0] += 1
    address = f"10.{SEEN[0] >> 16 & 255}.{SEEN[0] >> 8 & 255}.{SEEN[0] & 255}"
    case.headers["X-Forwarded-For"] = address
    if case.meta is None:  # one of `calls.py`
        return
    things = WORLD["paths"].get(case.operation.path, {})
    for name, value in dict(case.path_parameters or {}).items():
        if name in things and often(value):
            case.path_parameters[name] = choose(value, things[name])
    if isinstance(case.body, (dict, list)):
        case.body = lively(case.body)
    if case.query:
        for name, value in lively(dict(case.query)).items():
            case.query[name] = value


@schemathesis.hook
def after_call(context, case, response):
    route = CALLS.setdefault(f"{case.operation.method.upper()} {case.operation.path}", {})
    route[response.status_code] = route.get(response.status_code, 0) + 1


@atexit.register
def tell():
    with open(WORLD["calls_made"], "w") as file:
        json.dump(CALLS, file)
