//! As whom Azure is called: the operator's words for it, and the tokens that come of them.
//!
//! Policy names an identity and never says what one is: whoever may edit policy could otherwise have a token sent where they like.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use daypass_core::entitlement::Fault;
use secrecy::SecretString;

use super::certificate::Certificate;
use crate::Error;

/// The clouds that there are.
pub(super) const CLOUDS: &[&str] = &["public", "government", "china"];

/// An identity of `server.yaml`: as whom Azure is called, and where tokens go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The tenant's id, in small letters.
    pub tenant: String,
    /// How it is shown who calls.
    pub login: Login,
    /// Which cloud: it has addresses and audiences of its own.
    pub cloud: Cloud,
    /// Another address than the cloud's for Entra, where the operator says so.
    pub authority: Option<String>,
    /// The same for Azure Resource Manager.
    pub arm: Option<String>,
    /// The same for Microsoft Graph.
    pub graph: Option<String>,
    /// A CA to trust besides the system's, in PEM.
    pub ca_pem: Option<String>,
}

/// How it is shown who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A certificate of an app registration: a PEM file with the certificate and its private key (RSA).
    Certificate {
        /// The app's client id.
        client_id: String,
        /// The file.
        file: PathBuf,
    },
    /// A token of a Kubernetes service account, or of anything else that the app registration federates with.
    Workload {
        /// The app's client id.
        client_id: String,
        /// The file with the token. It is read anew as the token is replaced there.
        token_file: PathBuf,
    },
    /// The identity of the virtual machine or app service that Daypass runs on.
    Managed {
        /// The client id of a user-assigned one; the system-assigned one without it.
        client_id: Option<String>,
    },
    /// Whoever is logged in with the Azure CLI on this machine: for trying things out.
    Cli,
}

/// A cloud of Azure, with its addresses ("National clouds" at Microsoft Learn).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cloud {
    /// The one that most have.
    #[default]
    Public,
    /// Azure Government of the United States.
    Government,
    /// Azure in China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// The one that policy and `server.yaml` call so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "public" => Some(Self::Public),
            "government" => Some(Self::Government),
            "china" => Some(Self::China),
            _ => None,
        }
    }

    const fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::Government => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        }
    }

    /// The address of ARM, which is its audience too.
    pub(super) const fn arm(self) -> &'static str {
        match self {
            Self::Public => "https://management.azure.com",
            Self::Government => "https://management.usgovcloudapi.net",
            Self::China => "https://management.chinacloudapi.cn",
        }
    }

    /// The address of Graph, which is its audience too.
    pub(super) const fn graph(self) -> &'static str {
        match self {
            Self::Public => "https://graph.microsoft.com",
            Self::Government => "https://graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }
}

impl Identity {
    /// The address of Entra.
    pub(super) fn authority_at(&self) -> &str {
        self.authority
            .as_deref()
            .unwrap_or_else(|| self.cloud.authority())
            .trim_end_matches('/')
    }

    /// The address of ARM.
    pub(super) fn arm_at(&self) -> &str {
        self.arm
            .as_deref()
            .unwrap_or_else(|| self.cloud.arm())
            .trim_end_matches('/')
    }

    /// The address of Graph.
    pub(super) fn graph_at(&self) -> &str {
        self.graph
            .as_deref()
            .unwrap_or_else(|| self.cloud.graph())
            .trim_end_matches('/')
    }
}

/// Tokens of an identity. They are kept until shortly before they end, by the library that gets them.
pub(super) struct Tokens {
    identity: Identity,
    http: reqwest::Client,
    current: Mutex<Option<Arc<dyn TokenCredential>>>,
}

impl Tokens {
    pub(super) fn new(identity: Identity, http: reqwest::Client) -> Self {
        Self {
            identity,
            http,
            current: Mutex::new(None),
        }
    }

    /// A token for an audience.
    pub(super) async fn get(&self, audience: &str) -> Result<SecretString, Error> {
        let credential = self.credential()?;
        let scope = format!("{audience}/.default");
        let token = credential
            .get_token(&[&scope], None)
            .await
            .map_err(|error| refused(&error))?;
        Ok(SecretString::from(token.token.secret().to_owned()))
    }

    /// Forgets all tokens: one of them was refused.
    pub(super) fn forget(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn credential(&self) -> Result<Arc<dyn TokenCredential>, Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credential) = &*current {
            return Ok(Arc::clone(credential));
        }
        let credential = self.make()?;
        *current = Some(Arc::clone(&credential));
        Ok(credential)
    }

    fn make(&self) -> Result<Arc<dyn TokenCredential>, Error> {
        let Identity { tenant, login, .. } = &self.identity;
        let options = || ClientAssertionCredentialOptions {
            client_options: self.options(),
        };
        let made = match login {
            Login::Certificate { client_id, file } => {
                let audience = format!("{}/{tenant}/oauth2/v2.0/token", self.identity.authority_at());
                let shown = Certificate::new(file.clone(), client_id.clone(), audience);
                ClientAssertionCredential::new(tenant.clone(), client_id.clone(), shown, Some(options()))
                    .map(|made| made as Arc<dyn TokenCredential>)
            }
            Login::Workload {
                client_id,
                token_file,
            } => WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                credential_options: options(),
                client_id: Some(client_id.clone()),
                tenant_id: Some(tenant.clone()),
                token_file_path: Some(token_file.clone()),
            }))
            .map(|made| made as Arc<dyn TokenCredential>),
            Login::Managed { client_id } => {
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options: self.options(),
                }))
                .map(|made| made as Arc<dyn TokenCredential>)
            }
            Login::Cli => AzureCliCredential::new(Some(AzureCliCredentialOptions {
                tenant_id: Some(tenant.clone()),
                ..AzureCliCredentialOptions::default()
            }))
            .map(|made| made as Arc<dyn TokenCredential>),
        };
        made.map_err(|error| {
            let what = format!("the identity of server.yaml cannot be used: {error}");
            Error::new(Fault::Misconfigured, what)
        })
    }

    /// The library's own transport, made by us: it redirects nowhere, trusts what the operator trusts, and tries once. When a call
    /// is tried again is for whoever called us to say.
    fn options(&self) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = self.identity.authority_at().to_owned();
        ClientOptions {
            transport: Some(Transport::new(Arc::new(self.http.clone()))),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            ..ClientOptions::default()
        }
    }
}

/// What Entra said, or that it said nothing.
fn refused(error: &azure_core::Error) -> Error {
    use azure_core::error::ErrorKind;
    let mut fault = Fault::Unavailable;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    // What Entra said is inside of what the library says of it.
    while let Some(inner) = cause {
        if let Some(inner) = inner.downcast_ref::<azure_core::Error>()
            && let ErrorKind::HttpResponse { status, .. } = inner.kind()
        {
            fault = match u16::from(*status) {
                429 => Fault::RateLimited,
                408 | 500..=599 => Fault::Unavailable,
                _ => Fault::Denied,
            };
        }
        if inner.is::<super::certificate::Unusable>() {
            fault = Fault::Misconfigured;
        }
        cause = inner.source();
    }
    Error::new(
        fault,
        format!("getting a token: {}", error.to_string().replace('\n', " ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_addresses_and_the_operator_may_say_others() {
        let mut identity = Identity {
            tenant: String::new(),
            login: Login::Cli,
            cloud: Cloud::Government,
            authority: None,
            arm: None,
            graph: None,
            ca_pem: None,
        };
        assert_eq!(identity.arm_at(), "https://management.usgovcloudapi.net");
        assert_eq!(identity.authority_at(), "https://login.microsoftonline.us");
        identity.graph = Some("https://127.0.0.1:1/".to_owned());
        assert_eq!(identity.graph_at(), "https://127.0.0.1:1");
        for name in CLOUDS {
            assert!(Cloud::named(name).is_some(), "{name}");
        }
        assert_eq!(Cloud::named("mars"), None);
    }
}
