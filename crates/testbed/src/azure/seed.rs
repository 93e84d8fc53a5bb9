//! What a test begins with: subscriptions, machines, people, programs, groups, roles.

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use super::Azure;
use super::call::set;
use super::network::Nsg;
use super::scope::key;
use super::token::{Credential, Proof as Kept, thumbprint};
use super::world::{Data, Group, Principal};
use crate::{Error, Result};

/// A key and its certificate, which a program proves itself with.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PKCS #8, PEM.
    pub key: String,
    thumbprint: String,
    public: Vec<u8>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// A new RSA key of 2048 bits with a certificate of its own.
    ///
    /// # Errors
    /// The key cannot be made.
    pub fn make() -> Result<Self> {
        let made = |error: rcgen::Error| Error::Io {
            what: "making a certificate".to_owned(),
            source: std::io::Error::other(error.to_string()),
        };
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(made)?;
        let params = CertificateParams::new(vec!["daypass.example".to_owned()]).map_err(made)?;
        let certificate = params.self_signed(&key).map_err(made)?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            thumbprint: thumbprint(certificate.der()),
            public: key.public_key_raw().to_vec(),
        })
    }
}

/// How a program proves itself to Entra.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A client secret.
    Secret(String),
    /// A certificate: assertions are checked with its key (RS256, PS256).
    Certificate(Certificate),
    /// Tokens of another issuer; their signature is not checked.
    Federated {
        /// `iss`.
        issuer: String,
        /// `sub`.
        subject: String,
        /// `aud`.
        audience: String,
    },
    /// The machine's metadata service gives tokens (`/metadata/identity/oauth2/token`).
    Managed,
}

/// A program in the directory.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its client id.
    pub client: String,
    /// The object id of its service principal.
    pub object: String,
}

impl Azure {
    /// A subscription; its id.
    pub fn subscription(&self, name: &str) -> String {
        self.lock().by_hand(|data, _| {
            let id = data.new_id(0x5b);
            data.subscriptions.insert(id.clone(), name.to_owned());
            id
        })
    }

    /// A management group with what lies in it: ids of subscriptions, or `/providers/…` of other groups. Its scope.
    pub fn management_group(&self, name: &str, children: &[&str]) -> String {
        let scope = format!("/providers/Microsoft.Management/managementGroups/{name}");
        self.lock().by_hand(|data, _| {
            for child in children {
                let child = if child.starts_with('/') {
                    (*child).to_owned()
                } else {
                    format!("/subscriptions/{child}")
                };
                data.parents.insert(key(&child), key(&scope));
            }
            let shown = json!({
                "id": scope, "name": name, "type": "Microsoft.Management/managementGroups",
                "properties": {"tenantId": data.tenant, "displayName": name},
            });
            data.resources.insert(key(&scope), shown);
        });
        scope
    }

    /// A resource group; its scope. Once more with the same name is the same.
    pub fn resource_group(&self, subscription: &str, name: &str) -> String {
        self.lock()
            .by_hand(|data, _| resource_group(data, subscription, name))
    }

    /// A machine that runs, with one interface in a subnet of the network `10.0.0.0/16` of its resource group, and a group of rules
    /// (`NAME-nsg`) at the interface. Its id; see [`Azure::nsg_of`].
    pub fn vm(&self, subscription: &str, group: &str, name: &str, address: &str) -> String {
        self.lock().by_hand(|data, _| {
            let scope = resource_group(data, subscription, group);
            let nsg = add_nsg(data, &scope, &format!("{name}-nsg"));
            let subnet = add_subnet(data, &scope);
            add_vm(data, &scope, name, address, &subnet, Some(&nsg))
        })
    }

    /// A machine without a group of rules at its interface.
    pub fn vm_without_nsg(&self, subscription: &str, group: &str, name: &str, address: &str) -> String {
        self.lock().by_hand(|data, _| {
            let scope = resource_group(data, subscription, group);
            let subnet = add_subnet(data, &scope);
            add_vm(data, &scope, name, address, &subnet, None)
        })
    }

    /// A group of rules with none of its own; its id.
    pub fn nsg(&self, subscription: &str, group: &str, name: &str) -> String {
        self.lock().by_hand(|data, _| {
            let scope = resource_group(data, subscription, group);
            add_nsg(data, &scope, name)
        })
    }

    /// Puts a group of rules at the subnet of all machines of a resource group.
    pub fn nsg_at_subnet(&self, subscription: &str, group: &str, nsg: &str) {
        self.lock().by_hand(|data, _| {
            let scope = resource_group(data, subscription, group);
            add_subnet(data, &scope);
            if let Some(network) = data.resources.get_mut(&key(&network_id(&scope)))
                && let Some(subnet) = network.pointer_mut("/properties/subnets/0/properties")
            {
                set(subnet, "networkSecurityGroup", json!({"id": nsg}));
            }
        });
    }

    /// Any other resource: as ARM would show it (`id`, `name`, `type`, `location`).
    pub fn resource(&self, shown: Value) {
        self.lock().by_hand(|data, _| {
            let id = key(shown.get("id").and_then(Value::as_str).unwrap_or_default());
            data.resources.insert(id, shown);
        });
    }

    /// A person; the object id.
    pub fn user(&self, login: &str) -> String {
        let name = login.split('@').next().unwrap_or(login).to_owned();
        self.lock()
            .by_hand(|data, _| principal(data, "User", &name, login.to_owned()))
    }

    /// A program, with one way to prove itself.
    pub fn program(&self, name: &str, proof: &Proof) -> Program {
        let program = self.lock().by_hand(|data, _| {
            let client = data.new_id(0xc1);
            let object = principal(data, "ServicePrincipal", name, client.clone());
            Program { client, object }
        });
        self.add_proof(&program, proof);
        program
    }

    /// One more way for a program to prove itself.
    pub fn add_proof(&self, program: &Program, proof: &Proof) {
        let proof = match proof.clone() {
            Proof::Secret(secret) => Kept::Secret(secret),
            Proof::Certificate(one) => Kept::Certificate {
                thumbprint: one.thumbprint,
                key: one.public,
            },
            Proof::Federated {
                issuer,
                subject,
                audience,
            } => Kept::Federated {
                issuer,
                subject,
                audience,
            },
            Proof::Managed => Kept::Managed,
        };
        self.lock().credentials.push(Credential {
            client: program.client.clone(),
            principal: program.object.clone(),
            proof,
        });
    }

    /// Takes every way away from a program to prove itself.
    pub fn forget_proofs(&self, program: &Program) {
        self.lock().credentials.retain(|one| one.client != program.client);
    }

    /// Gives a program permissions of Graph, as an administrator's consent does: `GroupMember.ReadWrite.All`.
    pub fn consent(&self, object: &str, permissions: &[&str]) {
        self.lock().by_hand(|data, _| {
            if let Some(principal) = data.principals.get_mut(object) {
                principal
                    .app_roles
                    .extend(permissions.iter().map(|&one| one.to_owned()));
            }
        });
    }

    /// Takes such a permission away.
    pub fn withdraw_consent(&self, object: &str, permission: &str) {
        self.lock().by_hand(|data, _| {
            if let Some(principal) = data.principals.get_mut(object) {
                principal.app_roles.remove(permission);
            }
        });
    }

    /// A group; its object id.
    pub fn group(&self, name: &str) -> String {
        self.lock().by_hand(|data, _| add_group(data, name, false))
    }

    /// A group that roles of Entra can be given to, which takes more rights to change.
    pub fn role_assignable_group(&self, name: &str) -> String {
        self.lock().by_hand(|data, _| add_group(data, name, true))
    }
}

fn add_group(data: &mut Data, name: &str, role_assignable: bool) -> String {
    let id = data.new_id(0x94);
    let group = Group {
        id: id.clone(),
        name: name.to_owned(),
        members: Vec::new(),
        owners: Vec::new(),
        role_assignable,
    };
    data.groups.insert(id.clone(), group);
    id
}

fn principal(data: &mut Data, kind: &'static str, name: &str, login: String) -> String {
    let id = data.new_id(if kind == "User" { 0xa0 } else { 0x59 });
    let principal = Principal {
        id: id.clone(),
        kind,
        name: name.to_owned(),
        login,
        app_roles: std::collections::BTreeSet::new(),
    };
    data.principals.insert(id.clone(), principal);
    id
}

fn resource_group(data: &mut Data, subscription: &str, name: &str) -> String {
    let scope = format!("/subscriptions/{subscription}/resourceGroups/{name}");
    let shown = json!({
        "id": scope, "name": name, "type": "Microsoft.Resources/resourceGroups", "location": "westeurope",
        "properties": {"provisioningState": "Succeeded"},
    });
    data.resources.entry(key(&scope)).or_insert(shown);
    scope
}

fn add_nsg(data: &mut Data, scope: &str, name: &str) -> String {
    let id = format!("{scope}/providers/Microsoft.Network/networkSecurityGroups/{name}");
    let nsg = Nsg {
        id: id.clone(),
        rules: std::collections::BTreeMap::new(),
    };
    data.nsgs.entry(key(&id)).or_insert(nsg);
    id
}

fn network_id(scope: &str) -> String {
    format!("{scope}/providers/Microsoft.Network/virtualNetworks/net")
}

fn add_subnet(data: &mut Data, scope: &str) -> String {
    let network = network_id(scope);
    let subnet = format!("{network}/subnets/default");
    let shown = json!({
        "id": network, "name": "net", "type": "Microsoft.Network/virtualNetworks", "location": "westeurope",
        "properties": {
            "provisioningState": "Succeeded",
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [{
                "id": subnet, "name": "default", "type": "Microsoft.Network/virtualNetworks/subnets",
                "properties": {"provisioningState": "Succeeded", "addressPrefix": "10.0.0.0/24"},
            }],
        },
    });
    data.resources.entry(key(&network)).or_insert(shown);
    subnet
}

fn add_vm(
    data: &mut Data,
    scope: &str,
    name: &str,
    address: &str,
    subnet: &str,
    nsg: Option<&str>,
) -> String {
    let vm = format!("{scope}/providers/Microsoft.Compute/virtualMachines/{name}");
    let nic = format!("{scope}/providers/Microsoft.Network/networkInterfaces/{name}-nic");
    let mut shown = json!({
        "id": nic, "name": format!("{name}-nic"), "type": "Microsoft.Network/networkInterfaces", "location": "westeurope",
        "properties": {
            "provisioningState": "Succeeded",
            "primary": true,
            "virtualMachine": {"id": vm},
            "ipConfigurations": [{
                "id": format!("{nic}/ipConfigurations/one"), "name": "one",
                "properties": {
                    "provisioningState": "Succeeded", "primary": true, "privateIPAddress": address,
                    "privateIPAllocationMethod": "Dynamic", "privateIPAddressVersion": "IPv4", "subnet": {"id": subnet},
                },
            }],
        },
    });
    if let Some(nsg) = nsg {
        set(&mut shown, "properties/networkSecurityGroup", json!({"id": nsg}));
    }
    data.resources.insert(key(&nic), shown);
    let shown = json!({
        "id": vm, "name": name, "type": "Microsoft.Compute/virtualMachines", "location": "westeurope",
        "properties": {
            "provisioningState": "Succeeded",
            "vmId": data.new_id(0xee),
            "hardwareProfile": {"vmSize": "Standard_B2s"},
            "networkProfile": {"networkInterfaces": [{"id": nic, "properties": {"primary": true}}]},
        },
    });
    data.resources.insert(key(&vm), shown);
    vm
}
