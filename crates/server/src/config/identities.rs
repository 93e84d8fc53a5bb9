//! The identities of `server.yaml`: as whom connectors may call a cloud, and where tokens go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use daypass_core::name::Name;
use daypass_providers::azure::{Cloud, Identity, Login};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::check::{InFile, Result, shown};
use crate::secrets::{SecretError, file_error};

/// An identity, with what is read when the server starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// What is said of it, its CA aside.
    pub identity: Identity,
    /// A CA to trust besides the system's, in PEM.
    pub ca: Option<PathBuf>,
}

impl IdentityConfig {
    /// The identity with its CA, which is read now. Blocks on a small file.
    pub(crate) fn whole(&self, name: &str) -> std::result::Result<Identity, SecretError> {
        let mut identity = self.identity.clone();
        if let Some(ca) = &self.ca {
            let pem = std::fs::read_to_string(ca).map_err(|error| file_error(name, ca, &error))?;
            identity.ca_pem = Some(pem);
        }
        Ok(identity)
    }
}

/// One is of one cloud.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentity {
    azure: Spanned<RawAzure>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAzure {
    tenant: Spanned<String>,
    client_id: Option<Spanned<String>>,
    certificate: Option<Spanned<String>>,
    workload: Option<RawWorkload>,
    managed: Option<RawManaged>,
    cli: Option<Spanned<bool>>,
    cloud: Option<Spanned<String>>,
    authority: Option<Spanned<String>>,
    arm: Option<Spanned<String>>,
    graph: Option<Spanned<String>>,
    ca: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWorkload {
    token_file: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManaged {
    client_id: Option<Spanned<String>>,
}

/// All of them, by name.
pub(super) fn check(
    file: &InFile<'_>,
    raw: &BTreeMap<String, Spanned<RawIdentity>>,
) -> Result<BTreeMap<String, IdentityConfig>> {
    raw.iter()
        .map(|(name, identity)| {
            if let Err(bad) = name.parse::<Name>() {
                return Err(file.wrong(identity, bad.to_string()));
            }
            Ok((name.clone(), azure(file, &identity.value.azure)?))
        })
        .collect()
}

fn azure(file: &InFile<'_>, raw: &Spanned<RawAzure>) -> Result<IdentityConfig> {
    let said = &raw.value;
    let cloud = match &said.cloud {
        None => Cloud::Public,
        Some(name) => Cloud::named(&name.value).ok_or_else(|| {
            let what = format!("there is no cloud \"{}\"", shown(&name.value));
            file.wrong(name, what).hint("public, government or china")
        })?,
    };
    let url = |said: &Option<Spanned<String>>| said.as_ref().map(|said| url(file, said)).transpose();
    Ok(IdentityConfig {
        identity: Identity {
            tenant: guid(file, &said.tenant)?,
            login: login(file, raw)?,
            cloud,
            authority: url(&said.authority)?,
            arm: url(&said.arm)?,
            graph: url(&said.graph)?,
            ca_pem: None,
        },
        ca: said.ca.as_ref().map(|ca| file.path(ca)),
    })
}

/// Exactly one way to show who calls.
fn login(file: &InFile<'_>, raw: &Spanned<RawAzure>) -> Result<Login> {
    let said = &raw.value;
    let cli = said.cli.as_ref().is_some_and(|cli| cli.value);
    let client_id = || match &said.client_id {
        Some(id) => guid(file, id),
        None => Err(file
            .wrong(
                raw,
                "client_id is missing: the app registration's, not the object's",
            )
            .hint("az ad app list --display-name NAME --query [].appId")),
    };
    match (&said.certificate, &said.workload, &said.managed, cli) {
        (Some(certificate), None, None, false) => Ok(Login::Certificate {
            client_id: client_id()?,
            file: file.path(certificate),
        }),
        (None, Some(workload), None, false) => Ok(Login::Workload {
            client_id: client_id()?,
            token_file: file.path(&workload.token_file),
        }),
        (None, None, Some(managed), false) => Ok(Login::Managed {
            client_id: managed.client_id.as_ref().map(|id| guid(file, id)).transpose()?,
        }),
        (None, None, None, true) => Ok(Login::Cli),
        _ => Err(file
            .wrong(raw, "an identity is shown in one way")
            .hint("certificate: FILE, workload: {token_file: FILE}, managed: {}, or cli: true")),
    }
}

/// A GUID, in small letters.
fn guid(file: &InFile<'_>, said: &Spanned<String>) -> Result<String> {
    let text = said.value.to_ascii_lowercase();
    let fits = text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        });
    if fits {
        return Ok(text);
    }
    let what = format!("\"{}\" is no GUID", shown(&said.value));
    Err(file
        .wrong(said, what)
        .hint("such as 72f988bf-86f1-41af-91ab-2d7cd011db47"))
}

/// An address that a token may be sent to: with TLS, or on this machine.
fn url(file: &InFile<'_>, said: &Spanned<String>) -> Result<String> {
    let text = said.value.trim_end_matches('/');
    let bad = |what: &str| {
        let what = format!("\"{}\" {what}", shown(&said.value));
        file.wrong(said, what).hint("https://HOST, without a path")
    };
    let url = reqwest::Url::parse(text).map_err(|_| bad("is no address"))?;
    let own = match url.host_str() {
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback()),
        None => return Err(bad("names no host")),
    };
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !plain || !url.username().is_empty() || url.password().is_some() {
        return Err(bad("is more than a host and a port"));
    }
    match url.scheme() {
        "https" => Ok(text.to_owned()),
        "http" if own => Ok(text.to_owned()),
        _ => Err(bad("would have tokens sent in the clear")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::trial::{parse, refused};

    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    #[test]
    fn each_way_to_show_who_calls_is_read() {
        let text = format!(
            "identities:\n  a: {{azure: {{tenant: {TENANT}, client_id: {TENANT}, certificate: secrets/a.pem, ca: ca.pem}}}}\n  \
             b: {{azure: {{tenant: {TENANT}, client_id: {TENANT}, workload: {{token_file: /t}}, cloud: china}}}}\n  \
             c: {{azure: {{tenant: {TENANT}, managed: {{}}, arm: \"http://127.0.0.1:1/\"}}}}\n  \
             d: {{azure: {{tenant: {TENANT}, cli: true}}}}\n"
        );
        let all = parse(&text).unwrap().identities;
        let login = |name: &str| all[name].identity.login.clone();
        let file = Path::new("/etc/daypass/secrets/a.pem").to_owned();
        let client_id = TENANT.to_owned();
        assert_eq!(login("a"), Login::Certificate { client_id, file });
        assert_eq!(all["a"].ca.as_deref(), Some(Path::new("/etc/daypass/ca.pem")));
        assert!(matches!(login("b"), Login::Workload { .. }) && all["b"].identity.cloud == Cloud::China);
        assert_eq!(login("c"), Login::Managed { client_id: None });
        assert_eq!(all["c"].identity.arm.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(login("d"), Login::Cli);
    }

    #[test]
    fn what_cannot_be_or_would_leak_a_token_is_refused() {
        let of = |more: &str| format!("identities: {{a: {{azure: {{tenant: {TENANT}, {more}}}}}}}\n");
        for (more, with) in [
            ("cli: true, managed: {}", "one way"),
            ("cloud: public", "one way"),
            ("certificate: a.pem", "client_id is missing"),
            ("cli: true, cloud: mars", "no cloud"),
            ("cli: true, arm: \"http://evil.example\"", "in the clear"),
            ("cli: true, arm: \"https://u:p@evil.example\"", "more than a host"),
            ("cli: true, graph: \"https://a/b\"", "more than a host"),
            ("cli: true, secret: x", "no key \"secret\""),
        ] {
            refused(&of(more), "1:", with);
        }
        refused(
            "identities: {a: {azure: {tenant: corp, cli: true}}}\n",
            "1:",
            "no GUID",
        );
        refused(
            &format!("identities: {{\"a b\": {{azure: {{tenant: {TENANT}, cli: true}}}}}}\n"),
            "1:",
            "not a name",
        );
    }

    #[test]
    fn the_users_page_is_true() {
        let page = include_str!("../../../../docs/providers/azure.md");
        let (_, after) = page.split_once("says of an identity\n\n```yaml\n").unwrap();
        let config = parse(after.split_once("```").unwrap().0).unwrap();
        assert!(matches!(
            config.identities["azure-daypass"].identity.login,
            Login::Certificate { .. }
        ));
    }
}
