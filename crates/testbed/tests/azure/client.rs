//! A client with a token, and a stand-in with something in it.

use daypass_testbed::azure::{Azure, Program, Proof};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

pub(crate) const ARM: &str = "https://management.azure.com/.default";
pub(crate) const GRAPH: &str = "https://graph.microsoft.com/.default";

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Got {
    /// The code of a refusal.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A stand-in with a subscription, and a program that asks it.
pub(crate) struct Bed {
    pub(crate) azure: Azure,
    pub(crate) http: Client,
    pub(crate) s: String,
    pub(crate) us: Program,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let azure = Azure::start().unwrap();
        let ca = reqwest::Certificate::from_pem(azure.ca_pem().as_bytes()).unwrap();
        let http = Client::builder().tls_certs_only([ca]).build().unwrap();
        let s = azure.subscription("Production");
        let us = azure.program("daypass", &Proof::Secret("s3cret".into()));
        Self { azure, http, s, us }
    }

    /// `/subscriptions/…`
    pub(crate) fn sub(&self) -> String {
        format!("/subscriptions/{}", self.s)
    }

    /// One whose program may do everything.
    pub(crate) fn owner() -> Self {
        let bed = Self::new();
        bed.azure.assign(&bed.us.object, "Owner", &bed.sub());
        bed
    }

    /// Asks for a token with these fields in place of a secret's.
    pub(crate) async fn asks_for_token(&self, scope: &str, more: &[(&str, &str)]) -> Got {
        let url = format!("{}/{}/oauth2/v2.0/token", self.azure.url(), self.azure.tenant());
        let mut form = reqwest::Url::parse("https://x/").unwrap();
        form.query_pairs_mut()
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.us.client)
            .append_pair("scope", scope)
            .extend_pairs(more);
        let body = form.query().unwrap().to_owned();
        let form = "application/x-www-form-urlencoded";
        self.send(self.http.post(url).header("content-type", form).body(body))
            .await
    }

    pub(crate) async fn token(&self, scope: &str) -> String {
        let got = self.asks_for_token(scope, &[("client_secret", "s3cret")]).await;
        got.body["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Got {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Got {
            status,
            headers,
            body,
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&Value>) -> RequestBuilder {
        let path = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{}{path}", self.azure.url())
        };
        let request = self
            .http
            .request(Method::from_bytes(method.as_bytes()).unwrap(), path);
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    /// Asks ARM.
    pub(crate) async fn arm(&self, method: &str, path: &str, body: Option<&Value>) -> Got {
        let token = self.token(ARM).await;
        self.send(self.request(method, path, body).bearer_auth(token))
            .await
    }

    /// Asks Graph, below `/v1.0`.
    pub(crate) async fn graph(&self, method: &str, path: &str, body: Option<&Value>) -> Got {
        let token = self.token(GRAPH).await;
        let path = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("/v1.0{path}")
        };
        self.send(self.request(method, &path, body).bearer_auth(token))
            .await
    }
}

/// The body of a role assignment.
pub(crate) fn gives(principal: &str, role: &str) -> Value {
    json!({"properties": {
        "principalId": principal,
        "roleDefinitionId": format!("/providers/Microsoft.Authorization/roleDefinitions/{role}"),
    }})
}

/// The body of a rule that opens port 22.
pub(crate) fn opens(priority: u16, from: &str) -> Value {
    json!({"properties": {
        "protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": priority, "sourcePortRange": "*",
        "destinationPortRange": "22", "sourceAddressPrefix": from, "destinationAddressPrefix": "*",
    }})
}
