//! The schema says what the reader reads: the same keys, each with words about it, and no example that it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use daypass_policy::SCHEMA;
use serde_json::Value;

use crate::example::{EXAMPLE, blocks};

/// Where the schema is written.
const FILE: &str = "crates/policy/src/schema.json";

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// What is wrong with a value by the schema, place by place. This judges by the words that our schema uses, and fails at any other:
/// a crate that knows them all brings a licence that is not among ours.
fn judge(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    for (word, said) in schema.as_object().unwrap() {
        let fits = match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "properties" => true,
            "$ref" => {
                let pointer = said.as_str().unwrap().trim_start_matches('#');
                let named = root
                    .pointer(pointer)
                    .unwrap_or_else(|| panic!("{FILE}: there is no {said}"));
                judge(root, named, value, at, wrong);
                true
            }
            "type" => {
                one_or_many(said).any(|kind| kind == kind_of(value) || (kind == "number" && value.is_i64()))
            }
            "enum" => said.as_array().unwrap().contains(value),
            "const" => said == value,
            "pattern" => value
                .as_str()
                .is_none_or(|text| regex::Regex::new(said.as_str().unwrap()).unwrap().is_match(text)),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() <= size(said)),
            "minimum" => value
                .as_i64()
                .is_none_or(|number| number >= said.as_i64().unwrap()),
            "maximum" => value
                .as_i64()
                .is_none_or(|number| number <= said.as_i64().unwrap()),
            "minItems" => value.as_array().is_none_or(|items| items.len() >= size(said)),
            "maxItems" => value.as_array().is_none_or(|items| items.len() <= size(said)),
            "minProperties" => value.as_object().is_none_or(|map| map.len() >= size(said)),
            "maxProperties" => value.as_object().is_none_or(|map| map.len() <= size(said)),
            "required" => value
                .as_object()
                .is_none_or(|map| one_or_many(said).all(|key| map.contains_key(key))),
            "anyOf" => one_of(root, said, value) > 0,
            "oneOf" => one_of(root, said, value) == 1,
            "not" => !fits(root, said, value),
            "allOf" => one_of(root, said, value) == said.as_array().unwrap().len(),
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    judge(root, said, item, &format!("{at}/{number}"), wrong);
                }
                true
            }
            "propertyNames" => value
                .as_object()
                .is_none_or(|map| map.keys().all(|key| fits(root, said, &Value::from(key.as_str())))),
            "additionalProperties" => true,
            other => panic!("{FILE}: teach this test the word \"{other}\" before it is used"),
        };
        if !fits {
            wrong.push(format!("{at}: {word} {said}"));
        }
    }
    let none = serde_json::Map::new();
    let properties = schema
        .get("properties")
        .map_or(&none, |map| map.as_object().unwrap());
    for (key, value) in value.as_object().unwrap_or(&none) {
        let at = format!("{at}/{key}");
        match (properties.get(key), schema.get("additionalProperties")) {
            (Some(said), _) => judge(root, said, value, &at, wrong),
            (None, Some(Value::Bool(false))) => wrong.push(format!("{at}: unknown")),
            (None, Some(said)) => judge(root, said, value, &at, wrong),
            (None, None) => {}
        }
    }
}

fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let mut wrong = Vec::new();
    judge(root, schema, value, "", &mut wrong);
    wrong.is_empty()
}

fn one_of(root: &Value, schemas: &Value, value: &Value) -> usize {
    let all = schemas.as_array().unwrap().iter();
    all.filter(|schema| fits(root, schema, value)).count()
}

fn one_or_many(said: &Value) -> impl Iterator<Item = &str> {
    let one = said.as_str();
    let many = said.as_array().into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many)
}

fn size(said: &Value) -> usize {
    usize::try_from(said.as_u64().unwrap()).unwrap()
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The keys that the reader knows, by what it calls the map: every `Keys` of its source.
fn read_by_the_reader() -> BTreeMap<String, BTreeSet<String>> {
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let whole = regex::Regex::new(
        r#"Keys = Keys \{\s*what: "([^"]+)",\s*known: &\[([^\]]*)\],\s*later: &\[[^\]]*\],\s*\}"#,
    )
    .unwrap();
    let word = regex::Regex::new(r#""([^"]+)""#).unwrap();
    let mut all = BTreeMap::new();
    for text in texts {
        let found: Vec<_> = whole.captures_iter(&text).collect();
        let there = text.matches(": Keys = Keys {").count();
        assert_eq!(
            found.len(),
            there,
            "a list of keys is not written as the others are: what, known, later, in quotes"
        );
        for one in found {
            let keys = word.captures_iter(&one[2]).map(|key| key[1].to_owned()).collect();
            let earlier = all.insert(one[1].to_owned(), keys);
            assert!(earlier.is_none(), "two maps are called {}", &one[1]);
        }
    }
    assert!(all.len() >= 16, "the reader has its lists: {all:?}");
    all
}

fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The maps of the schema by their titles, which are what the reader calls them.
fn written_in_the_schema(schema: &Value) -> BTreeMap<String, Value> {
    let defs = schema["$defs"].as_object().unwrap().values();
    defs.chain([schema])
        .filter_map(|one| Some((one.get("title")?.as_str()?.to_owned(), one.clone())))
        .collect()
}

/// Two files cannot say the same for long unless something compares them.
#[test]
fn every_key_that_is_read_is_in_the_schema_and_no_other() {
    let schema = schema();
    let maps = written_in_the_schema(&schema);
    let mut wrong = Vec::new();
    let reader = read_by_the_reader();
    for (what, keys) in &reader {
        let Some(map) = maps.get(what) else {
            wrong.push(format!(
                "{FILE}: \"$defs\" has no object with \"title\": \"{what}\", whose keys are {keys:?}"
            ));
            continue;
        };
        if map.get("additionalProperties") != Some(&Value::Bool(false)) {
            wrong.push(format!(
                "{FILE}: {what} needs the line \"additionalProperties\": false"
            ));
        }
        let properties = map["properties"].as_object().unwrap();
        for key in keys {
            match properties.get(key) {
                None => wrong.push(format!(
                    "{FILE}: the reader knows \"{key}\" in {what}. Add under its \"properties\": \
                     \"{key}\": {{\"description\": \"…\", \"$ref\": \"#/$defs/…\"}}"
                )),
                Some(property) if property["description"].as_str().is_none_or(str::is_empty) => {
                    wrong.push(format!("{FILE}: \"{key}\" in {what} needs a \"description\""));
                }
                Some(_) => {}
            }
        }
        for key in properties.keys().filter(|key| !keys.contains(*key)) {
            wrong.push(format!(
                "{FILE}: remove \"{key}\" from {what}: the reader does not know it"
            ));
        }
    }
    for title in maps.keys().filter(|title| !reader.contains_key(*title)) {
        wrong.push(format!(
            "{FILE}: the reader reads no map called \"{title}\"; a title is the `what` of its Keys"
        ));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn takes(text: &str) -> Result<(), String> {
    let value: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let (schema, mut wrong) = (schema(), Vec::new());
    judge(&schema, &schema, &value, "", &mut wrong);
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

#[test]
fn every_example_fits_the_schema() {
    let mut examples = vec![(0, EXAMPLE.to_owned())];
    examples.extend(blocks("yaml"));
    assert!(examples.len() > 6);
    for (line, text) in examples {
        let version = if text.contains("version:") {
            ""
        } else {
            "version: 1\n"
        };
        if let Err(found) = takes(&format!("{version}{text}")) {
            panic!("the example at line {line} does not fit {FILE}: {found}");
        }
    }
}

/// What the reader takes and refuses by its shape alone, the schema takes and refuses.
#[test]
fn shapes_are_judged_as_the_reader_judges_them() {
    let rule = |rest: &str| format!("version: 1\nrules: [{{name: r, allow: a, to: {{env: p}}, {rest}}}]\n");
    let resource = |rest: &str| {
        format!(
            "version: 1\nconnectors: [{{name: c, kind: postgres}}]\nresources: \
             [{{name: o, kind: postgres, connector: c, access: gateway, {rest}}}]\n"
        )
    };
    for text in [
        rule("approval: none"),
        rule("approval: [{from: manager}], max: 1h30m, source: my-ip"),
        rule("approval: none, when: {ticket: required, if: true}"),
        "version: 1\nrules:\n".to_owned(),
        "version: 1\nwindows: {w: {from: '22:00', to: '24:00', tz: UTC}}\n".to_owned(),
        resource(
            "gateway: {values: true}, statements: {deny: ddl}, roles: {r: {any: 1, statements: {deny: [write]}}}",
        ),
    ] {
        assert_eq!(takes(&text), Ok(()), "{text}");
    }
    for text in [
        rule("approvel: none"),
        rule("duration: 1h"),
        rule("approval: []"),
        rule("approval: yes"),
        rule("approval: none, break_glass: {page: a, review_by: a, within: 1h}"),
        rule("approval: none, max: 1m1h"),
        rule("approval: none, max: ''"),
        rule("approval: none, when: {}"),
        rule("approval: none, anywhere: false"),
        rule("approval: [{from: a, count: 0}]"),
        rule("approval: [{from: a, else: approve}]"),
        resource("roles: {r: {}}, gateway: {}"),
        resource("roles: {r: {}}, gateway: {values: maybe}"),
        resource("roles: {r: {}}, gateway: {on_recording_failure: go-on}"),
        resource("roles: {r: {}}, statements: {}"),
        resource("roles: {r: {}}, statements: {deny: []}"),
        resource("roles: {r: {statements: {deny: [read-only]}}}"),
        resource("roles: {r: {statements: [ddl]}}"),
        "rules: []\n".to_owned(),
        "version: 2\n".to_owned(),
        "version: 1\npeople: {manager: {group: a}}\n".to_owned(),
        "version: 1\npeople: {a: {group: a, logins: [b]}}\n".to_owned(),
        "version: 1\nwindows: {w: {from: '25:00', to: '24:00', tz: UTC}}\n".to_owned(),
        "version: 1\nrules: [{name: r, allow: manager, to: {env: p}, approval: none}]\n".to_owned(),
        "version: 1\nrules: [{name: r, allow: a, to: {}, approval: none}]\n".to_owned(),
    ] {
        assert!(takes(&text).is_err(), "{text}");
        assert!(crate::office::load(&text).is_err(), "{text}");
    }
}
