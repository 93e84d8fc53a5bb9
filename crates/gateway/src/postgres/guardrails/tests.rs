//! What each guardrail refuses and what it lets through.

use super::*;

const READ_ONLY: Guardrails = Guardrails {
    read_only: true,
    no_ddl: false,
    qualified: false,
};
const NO_DDL: Guardrails = Guardrails {
    read_only: false,
    no_ddl: true,
    qualified: false,
};
const QUALIFIED: Guardrails = Guardrails {
    read_only: false,
    no_ddl: false,
    qualified: true,
};

#[track_caller]
fn passes(rails: Guardrails, texts: &[&str]) {
    let judged = texts.iter().map(|text| (text, judge(text, rails)));
    let refused: Vec<_> = judged.filter(|(_, judged)| judged.is_err()).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[track_caller]
fn refuses(rails: Guardrails, texts: &[&str]) {
    let passed: Vec<_> = texts.iter().filter(|text| judge(text, rails).is_ok()).collect();
    assert!(passed.is_empty(), "{passed:#?}");
}

/// What nobody may send who has any guardrail.
const HIDDEN: &[&str] = &[
    // The parser reads no further than END; PostgreSQL takes it for the name of a column.
    "SELECT a END INTO stolen FROM t",
    "EXPLAIN ANALYZE SELECT 1 END INTO u FROM t",
    "SELECT a END FROM t FOR UPDATE",
    "DO $$BEGIN DELETE FROM t; END$$",
    "CALL p()",
    "COPY t TO PROGRAM 'sh'",
    "COPY t FROM PROGRAM 'sh'",
    "COPY t TO '/tmp/x'",
    "COPY t FROM '/etc/passwd'",
    "COPY t FROM STDIN; DROP TABLE t",
    "SET standard_conforming_strings = off",
    "SET client_encoding = 'SJIS'",
    "SET NAMES 'SJIS'",
    "SELECT set_config('client_encoding', 'SJIS', false)",
    "SELECT set_config('Standard_Conforming_Strings', 'off', false)",
    "SELECT $$never ends",
    "SELECT 'never ends",
    "this is no SQL",
    // What is one string to PostgreSQL and two to others, and the other way round.
    "SELECT E'x'\n'\\''; DROP TABLE t; --'",
    "SELECT E'x' -- y\n'\\''; DROP TABLE t; --'",
    "SELECT 'x'\n'y'",
    "SELECT 1$a$'$a$; DROP TABLE t; --'",
    "SELECT 1e'\\''; DROP TABLE t; --'",
    "SELECT 1_0$a$'$a$; DROP TABLE t; --'",
    // What is a space to others is a letter to PostgreSQL.
    "SELECT 1 \u{3000} AS x",
];

#[test]
fn reading_goes_through_every_guardrail() {
    for rails in [READ_ONLY, NO_DDL, QUALIFIED] {
        passes(
            rails,
            &[
                "",
                ";;",
                "-- nothing",
                "SELECT 1",
                "select * from t where a = 'x;y' -- ; DROP",
                "SELECT 1; SELECT 2;",
                "WITH x AS (SELECT 1) SELECT * FROM x UNION ALL SELECT 2",
                "VALUES (1), (2)",
                "EXPLAIN SELECT 1",
                "EXPLAIN (ANALYZE, BUFFERS) SELECT 1",
                "SHOW client_encoding",
                "SET search_path TO a, b",
                "SET client_encoding = 'UTF8'",
                "SET standard_conforming_strings = on",
                "BEGIN; SAVEPOINT a; ROLLBACK TO a; RELEASE a; COMMIT",
                "START TRANSACTION READ ONLY",
                "ROLLBACK",
                "COPY t TO STDOUT",
                "COPY (SELECT 1) TO STDOUT WITH CSV",
                "PREPARE x AS SELECT $1::int",
                "EXECUTE x(1)",
                "DEALLOCATE x",
                "DECLARE c CURSOR FOR SELECT 1",
                "LISTEN a",
                "SELECT a->>'b', $$it's$$, E'a\\'b' FROM t",
                "SELECT N'a', X'1F', B'01', U&'\\0061', \"a\"\"b\".c, $t$;$t$, $1, 1.5e3, .5, é FROM \"é\"",
                "SELECT /* a /* ; */ ' */ 1 -- '\r\n, 2",
                "SELECT now()::date - interval '1 day', a[1], a @> '{}' AND b ~* 'x' FROM t WHERE x IN (1,2)",
            ],
        );
        refuses(rails, HIDDEN);
    }
}

#[test]
fn read_only_refuses_whatever_changes_something() {
    refuses(
        READ_ONLY,
        &[
            "INSERT INTO t VALUES (1)",
            "UPDATE t SET a = 1 WHERE b = 2",
            "DELETE FROM t WHERE a = 1",
            "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
            "TRUNCATE t",
            "CREATE TABLE t (a int)",
            "DROP TABLE t",
            "ALTER TABLE t ADD b int",
            "GRANT ALL ON t TO x",
            "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
            "SELECT 1; DELETE FROM t WHERE a = 1",
            "SELECT * INTO u FROM t",
            "SELECT 1 UNION SELECT a INTO u FROM t",
            "CREATE TABLE u AS SELECT 1",
            "SELECT * FROM t FOR UPDATE",
            "PREPARE x AS DELETE FROM t WHERE a = 1",
            "EXPLAIN ANALYZE DELETE FROM t WHERE a = 1",
            "EXPLAIN (ANALYZE) DELETE FROM t WHERE a = 1",
            "COPY t FROM STDIN",
            "LOCK TABLE t",
            "VACUUM t",
            "COMMENT ON TABLE t IS 'x'",
            "REINDEX TABLE t",
            "REFRESH MATERIALIZED VIEW v",
            "/* SELECT */ DELETE FROM t WHERE a = 1",
        ],
    );
}

#[test]
fn no_ddl_lets_rows_change_and_nothing_else() {
    passes(
        NO_DDL,
        &[
            "INSERT INTO t VALUES (1)",
            "UPDATE t SET a = 1",
            "DELETE FROM t",
            "COPY t FROM STDIN",
            "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        ],
    );
    refuses(
        NO_DDL,
        &[
            "CREATE TABLE t (a int)",
            "DROP TABLE t",
            "ALTER TABLE t ADD b int",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "ALTER ROLE ada PASSWORD 'x'",
            "CREATE EXTENSION dblink",
            "GRANT ALL ON t TO x",
            "SELECT * INTO u FROM t",
            "INSERT INTO t VALUES (1); DROP TABLE t",
        ],
    );
}

#[test]
fn changes_of_all_rows_are_refused_where_they_must_be_qualified() {
    passes(
        QUALIFIED,
        &[
            "UPDATE t SET a = 1 WHERE b = 2",
            "DELETE FROM t WHERE a IN (SELECT a FROM s)",
            "INSERT INTO t VALUES (1)",
            "CREATE TABLE t (a int)",
        ],
    );
    refuses(
        QUALIFIED,
        &[
            "UPDATE t SET a = 1",
            "DELETE FROM t",
            "DELETE FROM t WHERE true",
            "DELETE FROM t WHERE 1 = 1",
            // The space is a letter to PostgreSQL: it is all one name.
            "DELETE FROM t a\u{a0}WHERE\u{a0}b",
            "DELETE FROM t \u{3000}WHERE\u{a0}b",
            "UPDATE t SET a = 1 WHERE 2 > 1 OR 'a' = 'a'",
            "TRUNCATE t",
            "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
            "PREPARE x AS DELETE FROM t",
            "SELECT 1; DELETE FROM t",
        ],
    );
}

#[test]
fn a_text_of_any_depth_is_answered() {
    let deep = std::thread::Builder::new().stack_size(256 << 20);
    let texts = [
        format!("SELECT {}1", "1+".repeat(OPERATORS - 10)),
        format!("SELECT {}1", "1 OR ".repeat(OPERATORS - 10)),
        format!("SELECT 1 {}", "UNION SELECT 1 ".repeat(OPERATORS - 10)),
        format!("SELECT {}1", "NOT ".repeat(OPERATORS - 10)),
        format!("SELECT {}1", "- ".repeat(OPERATORS - 10)),
        format!("SELECT 1{}", "::int".repeat(OPERATORS / 2 - 10)),
        format!("SELECT a{}", "[1]".repeat(OPERATORS / 2 - 10)),
        format!(
            "SELECT {}1{}",
            "ARRAY[".repeat(OPERATORS / 2),
            "]".repeat(OPERATORS / 2)
        ),
        format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000)),
        format!("SELECT {}1", "CASE WHEN ".repeat(20_000)),
        format!("SELECT * FROM {}t", "(".repeat(100_000)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(20_000)),
        format!("{}SELECT 1", "PREPARE x AS ".repeat(15_000)),
        format!("{}SELECT 1", "WITH x AS (".repeat(15_000)),
        format!("SELECT {}1", "INTERVAL ".repeat(20_000)),
        format!("CREATE TABLE t (a {})", "int[".repeat(OPERATORS - 10)),
        format!("SELECT 1 FROM a{}", " JOIN b ON x".repeat(OPERATORS - 10)),
        format!("SELECT a{}", ".a".repeat(100_000)),
        format!("INSERT INTO t VALUES {}(1)", "(1),".repeat(50_000)),
    ];
    let asked = deep
        .spawn(move || texts.map(|text| judge(&text, READ_ONLY).is_ok()))
        .unwrap();
    assert_eq!(asked.join().unwrap().first(), Some(&true));
    assert!(look(&format!("SELECT {}1", "1+".repeat(OPERATORS + 1))).is_err());
}

#[test]
fn what_the_target_reads_otherwise_is_not_judged() {
    let mut guard = Guard::new(READ_ONLY);
    assert!(guard.read(b"SELECT 1").is_err(), "nothing is known of the target");
    let mut frames = BytesMut::new();
    for (name, value) in [("client_encoding", "UTF8"), ("standard_conforming_strings", "on")] {
        message::frame(&mut frames, b'S', |out| {
            for text in [name, value] {
                out.put_slice(text.as_bytes());
                out.put_u8(0);
            }
        });
    }
    guard.greeted(&frames);
    assert!(guard.read("SELECT 'é'".as_bytes()).is_ok());
    assert!(guard.read(b"SELECT '\xff'").is_err());
    guard.parameter(b"client_encoding", b"SJIS");
    assert!(guard.read("SELECT 'é'".as_bytes()).is_err());
    assert!(guard.read(b"SELECT 'e'").is_ok());
    guard.parameter(b"standard_conforming_strings", b"off");
    assert!(guard.read(b"SELECT 'e'").is_err());
}

#[test]
fn what_is_said_of_a_text_that_cannot_be_read_quotes_nothing_of_it() {
    for text in [
        "ALTER ROLE a PASSWORD 'hunter2' 'hunter2'",
        "this is 'hunter2'",
        "SELECT 'hunter2",
        "SELECT $x$hunter2",
    ] {
        let why = judge(text, READ_ONLY).unwrap_err();
        assert!(!why.contains("hunter2"), "{why}");
    }
    assert_eq!(
        judge("SELECT FROM 'x' y z", READ_ONLY).unwrap_err(),
        "it cannot be read at Line: 1, Column: 19"
    );
}

/// Each of these is read in two ways by the parser, with all that is inside of it: forty levels would take it years.
#[test]
fn what_takes_the_parser_twice_as_long_at_each_level_is_not_read() {
    let nested = |levels: usize| format!("SELECT {}1{}", "position(".repeat(levels), ")".repeat(levels));
    let why = judge(&nested(40), READ_ONLY).unwrap_err();
    assert!(why.contains("takes long"), "{why}");
    passes(
        READ_ONLY,
        &["SELECT position('a' IN b), Position('c' IN d) FROM t"],
    );
}

#[test]
fn what_is_read_again_and_again_is_stopped() {
    let rails = Guardrails {
        read_only: true,
        no_ddl: false,
        qualified: false,
    };
    let nested = |before: &str, inner: &str, after: &str, levels: usize| {
        format!("{}{inner}{}", before.repeat(levels), after.repeat(levels))
    };
    let text = format!("SELECT {}", nested("position(", "1", ")", 40));
    let begun = crate::edge::instant();
    let builder = std::thread::Builder::new().stack_size(STACK);
    let judged = builder.spawn(move || classes::judge(&text, rails, 1));
    let why = judged.unwrap().join().unwrap().unwrap_err();
    let took = crate::edge::instant().saturating_duration_since(begun);
    assert_eq!(why, "it takes too long to judge");
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_condition_names_a_column_of_what_is_changed() {
    refuses(
        QUALIFIED,
        &[
            "DELETE FROM t WHERE current_role IS NOT NULL",
            "DELETE FROM t WHERE Current_User <> session_user OR user = 'x'",
            "UPDATE t SET n = 1 WHERE current_date > '2020-01-01' AND localtimestamp IS NOT NULL",
            "DELETE FROM t WHERE t IS NOT NULL",
            "DELETE FROM s.t AS x WHERE x IS NOT NULL",
            "DELETE FROM t USING u WHERE u.id = 1",
            "UPDATE t SET n = u.n FROM u WHERE u.id > 0",
            "UPDATE t SET n = 1 WHERE EXISTS (SELECT 1 FROM u WHERE u.id = 1)",
            "UPDATE t SET n = 1 WHERE (SELECT count(id) FROM u) > 0",
            "MERGE INTO t USING u ON t.id = u.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
            "MERGE INTO t USING u ON t.id = u.id WHEN NOT MATCHED BY SOURCE AND true THEN UPDATE SET n = 1",
            "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED BY SOURCE AND u.n = 1 THEN DELETE",
            "MERGE INTO t USING u ON u.id = 1 WHEN MATCHED THEN DELETE",
        ],
    );
    passes(
        QUALIFIED,
        &[
            "DELETE FROM t WHERE \"current_role\" IS NOT NULL",
            "DELETE FROM t WHERE owner = current_role",
            "DELETE FROM t AS x WHERE x.id = 1",
            "DELETE FROM t USING u WHERE u.id = t.id",
            "DELETE FROM t USING u WHERE u.id = uid",
            "UPDATE t SET n = u.n FROM u WHERE u.id = t.id",
            "UPDATE t SET n = 1 WHERE id IN (SELECT id FROM u)",
            "UPDATE t SET n = 1 WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)",
            "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE",
            "MERGE INTO t USING u ON t.id = u.id WHEN NOT MATCHED BY SOURCE AND t.n = 1 THEN DELETE",
        ],
    );
}

#[test]
fn what_surely_changes_no_settings_is_known() {
    let keeps = |text: &str| judge(text, QUALIFIED).unwrap();
    for text in [
        "SELECT a, count(*) FROM t WHERE b = $1 GROUP BY a",
        "SELECT coalesce(lower(a), 'x')::text FROM generate_series(1, 5) AS a",
        "INSERT INTO t VALUES ($1, now()) RETURNING id",
        "UPDATE t SET a = a || 'x' WHERE id = $1",
        "DELETE FROM t WHERE id = $1",
        "BEGIN",
        "SAVEPOINT a",
        "WITH x AS (SELECT 1) SELECT * FROM x; SELECT 2",
    ] {
        assert!(keeps(text), "{text}");
    }
    for text in [
        "SELECT set_config('standard_' || 'conforming_strings', 'off', false)",
        "SELECT f()",
        "SELECT \"lower\"(a) FROM t",
        "SELECT s.lower(a) FROM t",
        "SELECT * FROM f()",
        "SELECT * FROM lower('x'), f(1)",
        "SELECT (SELECT f() FROM t)",
        "INSERT INTO t VALUES (f())",
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'x'",
        "UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'x'",
        "SET search_path = a",
        "RESET ALL",
        "DISCARD ALL",
        "COMMIT",
        "ROLLBACK",
        "ROLLBACK TO SAVEPOINT a",
        "EXECUTE a",
        "FETCH ALL FROM c",
        "EXPLAIN ANALYZE SELECT f()",
        "SELECT 1; SET search_path = a",
        "CREATE TABLE u AS SELECT 1",
    ] {
        assert!(!keeps(text), "{text}");
    }
}
