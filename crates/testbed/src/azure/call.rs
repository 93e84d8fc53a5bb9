//! A call as the stand-in's services see it, and what they answer: no HTTP library beyond this file and `server`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::operations::Fate;

/// What somebody asked.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// GET, PUT, …
    pub(super) method: String,
    /// Without the query, unescaped, without a slash at its end.
    pub(super) path: String,
    /// The query, unescaped.
    pub(super) query: BTreeMap<String, String>,
    /// Names in small letters.
    pub(super) headers: BTreeMap<String, String>,
    /// The body, where it is JSON.
    pub(super) body: Value,
    /// The body as it came, for forms.
    pub(super) raw: String,
    /// `https://127.0.0.1:15000`: by what name the caller reached us, for the links in answers.
    pub(super) base: String,
    /// The object id of whoever holds the token; empty before it was looked at.
    pub(super) caller: String,
    /// The stand-in's time.
    pub(super) now: Timestamp,
    /// How an asynchronous operation ends that this call starts.
    pub(super) fate: Fate,
}

impl Call {
    /// The path's parts.
    pub(super) fn parts(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }

    /// A parameter of the query; empty where it is not there.
    pub(super) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

/// Splits what stands in a request's first line.
pub(super) fn path_and_query(target: &str) -> (String, BTreeMap<String, String>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = percent_decode_str(path.trim_end_matches('/'))
        .decode_utf8_lossy()
        .into_owned();
    let query = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    (path, query)
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

/// An answer, or the refusal that ends the work at once.
pub(super) type Answer = Result<Reply, Reply>;

impl Reply {
    /// A body with a status.
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    /// 200.
    pub(super) fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    /// A status alone.
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
        }
    }

    /// One more header.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A refusal in the shape of Azure Resource Manager ("Common API response error", ARM's RPC: Common API Details).
    pub(super) fn arm(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self::new(
            status,
            json!({"error": {"code": code, "message": message.into()}}),
        )
    }

    /// Nothing is there.
    pub(super) fn not_found(what: &str) -> Self {
        Self::arm(
            404,
            "ResourceNotFound",
            format!("The Resource '{what}' was not found."),
        )
    }

    /// The service does not have that.
    pub(super) fn no_route(call: &Call) -> Self {
        Self::arm(
            404,
            "InvalidResourceType",
            format!("The stand-in has no {} {}", call.method, call.path),
        )
    }
}

/// A page of a list: what `nextLink` leads to is the same address with a `$skiptoken` (ARM).
pub(super) fn page(call: &Call, all: Vec<Value>, at_once: usize, link: &str, token: &str) -> Value {
    let from = call.asked(token).parse::<usize>().unwrap_or(0);
    let until = from.saturating_add(at_once.max(1));
    let more = all.len() > until;
    let value: Vec<_> = all.into_iter().skip(from).take(at_once.max(1)).collect();
    let mut body = json!({"value": value});
    if more {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &call.query {
            if name != token {
                query.append_pair(name, value);
            }
        }
        query.append_pair(token, &until.to_string());
        set(
            &mut body,
            link,
            format!("{}{}?{}", call.base, call.path, query.finish()),
        );
    }
    body
}

/// Sets a property of an object, or of an object inside it: `properties/status`. Nothing happens where there is none.
pub(super) fn set(value: &mut Value, name: &str, to: impl Into<Value>) {
    let (parent, name) = name.rsplit_once('/').unwrap_or(("", name));
    let pointer = if parent.is_empty() {
        String::new()
    } else {
        format!("/{parent}")
    };
    if let Some(object) = value.pointer_mut(&pointer).and_then(Value::as_object_mut) {
        object.insert(name.to_owned(), to.into());
    }
}

/// A text inside a value; empty where it is not there.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
