"""asyncpg, which has a protocol of its own and knows no channel binding."""

import asyncio
import ssl

import asyncpg
from told import CA, DATABASE, ENDS, HOST, PASSWORD, PORT, RUNNING, STRANGER, USER, saw


async def connect(user=USER, ca=CA):
    return await asyncpg.connect(
        host=HOST, port=PORT, user=user, password=PASSWORD, database=DATABASE,
        ssl=ssl.create_default_context(cafile=ca),
    )  # fmt: skip


async def state(work):
    try:
        await work
    except asyncpg.PostgresError as error:
        return error.sqlstate
    return "went well"


async def stranger():
    try:
        await connect(ca=STRANGER)
    except ssl.SSLCertVerificationError:
        return "refused"
    return "trusted"


async def parameters(conn):
    statement = await conn.prepare("SELECT $1::int + 1, $2::text")
    for _ in range(2):
        found = list(await statement.fetchrow(41, "ä'x"))
    return found


async def failed(conn):
    async def work():
        async with conn.transaction():
            await conn.execute("INSERT INTO things (n, word) VALUES (-1, 'never')")
            await conn.execute("SELECT 1 / 0")

    return [await state(work()), await conn.fetchval("SELECT count(*) FROM things WHERE n < 0")]


async def copy(conn):
    records = [(n, f"word {n}") for n in range(1, 1001)]
    await conn.copy_records_to_table("things", records=records, columns=["n", "word"])
    found = list(await conn.fetchrow("SELECT count(*), sum(n) FROM things"))
    lines = bytearray()

    async def take(data):
        lines.extend(data)

    await conn.copy_from_table("things", output=take)
    return [*found, lines.count(b"\n")]


async def rows(conn):
    count = total = 0
    async with conn.transaction():
        async for row in conn.cursor("SELECT n FROM generate_series(1, 100000) n", prefetch=1000):
            count += 1
            total += row[0]
    return [count, total]


async def notify(conn):
    heard = asyncio.get_running_loop().create_future()
    await conn.add_listener("news", lambda *told: heard.done() or heard.set_result(told[-1]))
    other = await connect()
    await other.execute("NOTIFY news, 'hello'")
    await other.close()
    return await asyncio.wait_for(heard, 10)


async def cancel(conn):
    """A time-out of asyncpg's is a request to cancel."""
    bystander, victim = await connect(), await connect()
    quiet = asyncio.create_task(state(bystander.execute("SELECT pg_sleep(4)")))
    slow = asyncio.create_task(victim.execute("SELECT pg_sleep(50)"))
    while await conn.fetchval(RUNNING) < 2:
        pass
    slow.cancel()
    try:
        await slow
        cancelled = "went well"
    except asyncio.CancelledError:
        cancelled = "cancelled"
    other = await quiet
    # It answers only once the query was ended.
    goes_on = await asyncio.wait_for(victim.fetchval("SELECT 1"), 10)
    await victim.close()
    await bystander.close()
    return [cancelled, other, goes_on]


async def pipeline(conn):
    """executemany sends all before it reads an answer."""
    await conn.execute("CREATE TABLE piped (n int)")
    await conn.executemany("INSERT INTO piped VALUES ($1)", [(n,) for n in range(100)])
    return await conn.fetchval("SELECT sum(n) FROM piped")


async def pipeline_fails(conn):
    work = conn.executemany("INSERT INTO things (n) VALUES (-2 / $1::int)", [(1,), (0,), (2,)])
    return [await state(work), await conn.fetchval("SELECT count(*) FROM things WHERE n < 0")]


async def refused(conn):
    simple = await state(conn.execute("DELETE FROM things"))
    prepared = await state(conn.fetch("DELETE FROM things"))
    return [simple if simple == prepared else [simple, prepared], await conn.fetchval("SELECT count(*) FROM things")]


async def ended():
    conn = await connect(user=ENDS)
    saw("ending", None)
    try:
        await conn.execute("SELECT pg_sleep(60)")
    except asyncpg.ConnectionDoesNotExistError as error:
        # To asyncpg every error that ends a connection is this one; the server's own is its cause.
        saw("ended", error.__cause__.sqlstate)


async def main():
    saw("stranger", await stranger())
    conn = await connect()
    saw("simple", (await conn.fetch("SELECT 6 * 7"))[0][0])
    await conn.execute("CREATE TABLE things (n int, word text)")
    saw("binary", await parameters(conn))
    saw("failed", await failed(conn))
    saw("copy", await copy(conn))
    saw("rows", await rows(conn))
    saw("notify", await notify(conn))
    saw("cancel", await cancel(conn))
    saw("pipeline", await pipeline(conn))
    saw("pipeline fails", await pipeline_fails(conn))
    saw("refused", await refused(conn))
    await ended()
    saw("stays", await conn.fetchval("SELECT 1"))
    await conn.close()


asyncio.run(main())
