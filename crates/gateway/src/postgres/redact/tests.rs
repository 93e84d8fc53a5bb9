//! What is hidden, and what is shown.

use super::*;
use crate::record::Value;

/// The secret is always `hunter2`.
fn check(text: &str, expected: &str) {
    let shown = redacted(text.as_bytes(), true);
    assert_eq!(shown, expected);
    assert!(!shown.contains("hunter2"));
}

#[test]
fn passwords_of_roles_are_hidden_however_they_are_written() {
    check(
        "ALTER ROLE ada PASSWORD 'hunter2'",
        "ALTER ROLE ada PASSWORD '***'",
    );
    check(
        "CREATE USER b WITH ENCRYPTED password E'hunter2' LOGIN",
        "CREATE USER b WITH ENCRYPTED password E'***' LOGIN",
    );
    check(
        "ALTER ROLE a PASSWORD/**/$$hunter2$$ VALID UNTIL 'x'",
        "ALTER ROLE a PASSWORD/**/$$***$$ VALID UNTIL 'x'",
    );
    check(
        "ALTER ROLE a PASSWORD 'hunt'\n'hunter2'",
        "ALTER ROLE a PASSWORD '***'",
    );
    check("ALTER ROLE a PASSWORD U&'hunter2", "ALTER ROLE a PASSWORD U&'***");
    check(
        "ALTER ROLE a PASSWORD NULL; SELECT 'x'",
        "ALTER ROLE a PASSWORD NULL; SELECT 'x'",
    );
}

#[test]
fn passwords_in_strings_are_hidden_and_the_rest_of_the_string_is_not() {
    check(
        "DO $$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''hunter2'' LOGIN'; DROP TABLE t; END$$",
        "DO $$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''***'' LOGIN'; DROP TABLE t; END$$",
    );
    check(
        "SELECT dblink_connect('host=x password=hunter2 user=y')",
        "SELECT dblink_connect('host=x password=*** user=y')",
    );
    check(
        "SELECT dblink('password=hunter2!x')",
        "SELECT dblink('password=***')",
    );
    check(
        "CREATE SUBSCRIPTION s CONNECTION 'password=''hunter2'''",
        "CREATE SUBSCRIPTION s CONNECTION 'password=''***'''",
    );
    check(
        "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password 'hunter2')",
        "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password '***')",
    );
    check(
        "SELECT dblink('postgres://u:hunter2@h/d')",
        "SELECT dblink('postgres://u:***@h/d')",
    );
    check(
        "SELECT 1 WHERE user_password = 'hunter2'",
        "SELECT 1 WHERE user_password = '***'",
    );
}

#[test]
fn other_texts_stay_as_they_are() {
    for text in [
        "SELECT 1",
        "SELECT password FROM users WHERE name = 'ada'",
        "INSERT INTO t VALUES ('forgot my password', 'x')",
        "SELECT 'http://example.com/a'",
    ] {
        check(text, text);
    }
    assert_eq!(redacted(b"SELECT '\xff'", true), r"SELECT \'\xff\'");
}

#[test]
fn where_a_text_may_be_read_otherwise_nothing_behind_the_word_is_shown() {
    let hides = |text: &[u8], plain, expected: &str| {
        let shown = redacted(text, plain);
        assert_eq!(shown, expected);
        assert!(!shown.contains("hunter2"));
    };
    // In LATIN1 the byte is a letter, in others half of one.
    hides(
        b"ALTER ROLE \xff PASSWORD 'hunter2'",
        true,
        r"ALTER ROLE \xff *** (18 bytes that may hold a password)",
    );
    let backslash = br"ALTER ROLE a PASSWORD 'a\'hunter2'";
    hides(
        backslash,
        false,
        "ALTER ROLE a *** (21 bytes that may hold a password)",
    );
    let itself = br"SET standard_conforming_strings = off; ALTER ROLE a PASSWORD 'a\'hunter2'";
    assert!(!redacted(itself, true).contains("hunter2"));
    // Without a backslash it is read in one way.
    hides(
        b"ALTER ROLE a PASSWORD 'hunter2'",
        false,
        "ALTER ROLE a PASSWORD '***'",
    );
}

#[test]
fn what_is_made_of_a_password_is_hidden_in_every_argument() {
    check(
        "UPDATE u SET h = crypt('hunter2', gen_salt('bf')) WHERE name = 'ada'",
        "UPDATE u SET h = crypt('***', gen_salt('***')) WHERE name = 'ada'",
    );
    check(
        "SELECT set_password('ada', 'hunter2'), 'x'",
        "SELECT set_password('***', '***'), 'x'",
    );
    check(
        "SELECT 1 FROM u WHERE password IN ('hunter2', 'hunter2') AND name = 'ada'",
        "SELECT 1 FROM u WHERE password IN ('***', '***') AND name = 'ada'",
    );
    check(
        "SELECT password IS DISTINCT FROM 'hunter2'",
        "SELECT password IS DISTINCT FROM '***'",
    );
    check(
        "INSERT INTO u (name, password) VALUES ('ada', 'hunter2'), ('bob', 'hunter2'); SELECT 'x'",
        "INSERT INTO u (name, password) VALUES ('***', '***'), ('***', '***'); SELECT 'x'",
    );
    check(
        "UPDATE u SET (\"password\", n) = ('hunter2', 1)",
        "UPDATE u SET (\"password\", n) = ('***', 1)",
    );
}

#[test]
fn passwords_in_json_are_hidden() {
    check(
        r#"SELECT '{"user":"ada","password":"hunter2","n":1}'::jsonb"#,
        r#"SELECT '{"user":"ada","password":***,"n":1}'::jsonb"#,
    );
    check(
        r#"SELECT '{"user_password" : "hunter2 and more", "n": "1"}'"#,
        r#"SELECT '{"user_password" : ***, "n": "1"}'"#,
    );
    check(
        r#"SELECT '{"password":["a", "hunter2"]}'"#,
        r#"SELECT '{"password":***'"#,
    );
    check(
        r#"SELECT '{"a":1,"password":"hun\"hunter2","n":1}'"#,
        r#"SELECT '{"a":1,"***'"#,
    );
    check(
        "SELECT jsonb_build_object('password', 'hunter2'), data->>'password' = 'hunter2'",
        "SELECT jsonb_build_object('password', '***'), data->>'password' = '***'",
    );
    check(
        r#"SELECT jsonb_set(a, '{password}', '"hunter2"')"#,
        "SELECT jsonb_set(a, '{password}', '***')",
    );
}

#[test]
fn where_escapes_stand_nothing_behind_the_word_is_shown() {
    check(
        r"SELECT dblink(E'host=x password=\'a hunter2\' user=y'), 'z'",
        r"SELECT dblink(E'host=x ***'), 'z'",
    );
    check(
        r"SELECT dblink('host=x password=''a\'' hunter2''')",
        r"SELECT dblink('host=x ***')",
    );
    check(
        r"SELECT dblink('host=x password=a\ hunter2')",
        r"SELECT dblink('host=x ***')",
    );
    check(
        "SELECT dblink('password=a--hunter2 user=y')",
        "SELECT dblink('password=***')",
    );
    check(
        "SELECT dblink('password=\"hunter2 x\" user=y')",
        "SELECT dblink('password=*** user=y')",
    );
    check(
        "SELECT dblink('postgres://u:hun/hunter2://x@h/d'), 1",
        "SELECT dblink('postgres://u:***@h/d'), 1",
    );
    check("-- password: hunter2\nSELECT 1", "-- ***\nSELECT 1");
    check("SELECT /* password: hunter2 */ 1", "SELECT /* ***\u{2a}/ 1");
}

#[test]
fn a_command_line_is_shown_up_to_what_may_be_a_secret() {
    check(
        "COPY t TO PROGRAM 'curl -s -u ada:hunter2 https://x.example/y'",
        "COPY t TO PROGRAM 'curl -s ***'",
    );
    for (command, shown) in [
        ("PGPASSWORD=hunter2 psql", "***"),
        ("psql --password hunter2", "psql ***"),
        ("mysql -phunter2", "mysql ***"),
        ("curl https://u:hunter2@h/", "curl ***"),
        ("gzip -9 > /tmp/x", "gzip -9 > /tmp/x"),
    ] {
        check(
            &format!("COPY t FROM PROGRAM '{command}' CSV"),
            &format!("COPY t FROM PROGRAM '{shown}' CSV"),
        );
    }
}

#[test]
fn values_that_may_be_passwords_are_hidden() {
    for text in [
        "UPDATE u SET password = $1",
        "SELECT crypt($1, h)",
        "INSERT INTO u (a, PassWD) VALUES ($1, $2)",
    ] {
        assert!(is_about_a_password(text.as_bytes()), "{text}");
    }
    assert!(!is_about_a_password(b"SELECT $1"));
    let text = |text: &str| hide_value(Value::Text(text.to_owned()), text.as_bytes());
    assert_eq!(text("host=x Password=hunter2"), Value::Hidden);
    assert_eq!(text("{\"passwd\":1}"), Value::Hidden);
    assert_eq!(text("x://u:hunter2@h"), Value::Text("x://u:***@h".to_owned()));
    assert_eq!(text("ada"), Value::Text("ada".to_owned()));
    let binary = Value::Binary("00".to_owned());
    assert_eq!(hide_value(binary.clone(), b"x://u:hunter2@h"), Value::Hidden);
    assert_eq!(hide_value(binary.clone(), b"\0\x01"), binary);
}
