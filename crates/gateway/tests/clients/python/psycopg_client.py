"""psycopg 3, on libpq."""

import threading

import psycopg
from told import CA, DATABASE, ENDS, HOST, PASSWORD, PORT, RUNNING, STRANGER, USER, saw


def connect(user=USER, ca=CA, **more):
    return psycopg.connect(
        host=HOST, port=PORT, user=user, password=PASSWORD, dbname=DATABASE,
        sslmode="verify-full", sslrootcert=ca, channel_binding="require", autocommit=True, **more,
    )  # fmt: skip


def state(work):
    try:
        work()
    except psycopg.Error as error:
        return error.sqlstate
    return "went well"


def stranger():
    try:
        connect(ca=STRANGER)
    except psycopg.OperationalError as error:
        return "refused" if "SSL error" in str(error) else str(error)
    return "trusted"


def parameters(conn, binary):
    with conn.cursor(binary=binary) as cursor:
        marks = "%b::int + 1, %b::text" if binary else "%t::int + 1, %t::text"
        for _ in range(2):
            cursor.execute(f"SELECT {marks}", (41, "ä'x"), prepare=True)
            found = list(cursor.fetchone())
    return found


def failed(conn):
    def work():
        with conn.transaction():
            conn.execute("INSERT INTO things (n, word) VALUES (-1, 'never')")
            conn.execute("SELECT 1 / 0")

    return [state(work), conn.execute("SELECT count(*) FROM things WHERE n < 0").fetchone()[0]]


def copy(conn):
    with conn.cursor() as cursor:
        with cursor.copy("COPY things (n, word) FROM STDIN") as into:
            for n in range(1, 1001):
                into.write_row((n, f"word {n}"))
        cursor.execute("SELECT count(*), sum(n) FROM things")
        found = list(cursor.fetchone())
        with cursor.copy("COPY things (n, word) TO STDOUT") as out:
            found.append(sum(1 for _ in out.rows()))
    return found


def rows(conn):
    count = total = 0
    with conn.transaction(), conn.cursor(name="many") as cursor:
        cursor.itersize = 1000
        cursor.execute("SELECT n FROM generate_series(1, 100000) n")
        for (n,) in cursor:
            count += 1
            total += n
    return [count, total]


def notify(conn):
    conn.execute("LISTEN news")
    with connect() as other:
        other.execute("NOTIFY news, 'hello'")
    return next(conn.notifies(timeout=10)).payload


def cancel(conn):
    found = {}
    bystander, victim = connect(), connect()
    work = [
        threading.Thread(target=lambda: found.update(victim=state(lambda: victim.execute("SELECT pg_sleep(50)")))),
        threading.Thread(target=lambda: found.update(other=state(lambda: bystander.execute("SELECT pg_sleep(4)")))),
    ]
    for thread in work:
        thread.start()
    while conn.execute(RUNNING).fetchone()[0] < 2:
        pass
    victim.cancel_safe(timeout=10)
    for thread in work:
        thread.join()
    goes_on = victim.execute("SELECT 1").fetchone()[0]
    victim.close()
    bystander.close()
    return [found["victim"], found["other"], goes_on]


def pipeline(conn):
    with conn.pipeline():
        cursors = [conn.execute("SELECT %s::int", (n,)) for n in range(100)]
        return sum(cursor.fetchone()[0] for cursor in cursors)


def pipeline_fails(conn):
    """What follows a failure in a pipeline is not run, and the connection goes on after it."""

    def work():
        with conn.pipeline() as pipe:
            conn.execute("SELECT 1 / 0")
            conn.execute("INSERT INTO things (n, word) VALUES (-2, 'never')")
            pipe.sync()

    return [state(work), conn.execute("SELECT count(*) FROM things WHERE n < 0").fetchone()[0]]


def refused(conn):
    first = state(lambda: conn.execute("DELETE FROM things"))
    return [first, conn.execute("SELECT count(*) FROM things").fetchone()[0]]


def ended():
    conn = connect(user=ENDS)
    saw("ending", None)
    saw("ended", state(lambda: conn.execute("SELECT pg_sleep(60)")))


def main():
    saw("stranger", stranger())
    for name, more in [("direct", {"sslnegotiation": "direct"}), ("newest", {"max_protocol_version": "latest"})]:
        with connect(**more) as conn:
            saw(name, conn.execute("SELECT 1").fetchone()[0])
    with connect() as conn:
        saw("simple", conn.execute("SELECT 6 * 7").fetchone()[0])
        conn.execute("CREATE TABLE things (n int, word text)")
        saw("text", parameters(conn, binary=False))
        saw("binary", parameters(conn, binary=True))
        saw("failed", failed(conn))
        saw("copy", copy(conn))
        saw("rows", rows(conn))
        saw("notify", notify(conn))
        saw("cancel", cancel(conn))
        saw("pipeline", pipeline(conn))
        saw("pipeline fails", pipeline_fails(conn))
        saw("refused", refused(conn))
        ended()
        saw("stays", conn.execute("SELECT 1").fetchone()[0])


main()
