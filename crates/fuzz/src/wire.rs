//! What a client sends, as every type that a body or a query has.

use daypass_api::{
    break_glass, catalogue, change, delegation, environment, event, explain, gateway, grant, lock, person,
    policy,
};
use daypass_api::{login, request, session, ssh, standing, ticket, why};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads it; what is read is written as something that reads as the same.
fn read<T: DeserializeOwned + Serialize>(data: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(data) else {
        return;
    };
    let written = serde_json::to_string(&read).unwrap_or_default();
    let again = serde_json::from_str::<T>(&written).ok();
    let again = again.and_then(|again| serde_json::to_string(&again).ok());
    assert_eq!(
        again.as_ref(),
        Some(&written),
        "{} is not what it is written as",
        std::any::type_name::<T>()
    );
}

pub(crate) fn wire(data: &[u8]) {
    for read in [
        read::<request::NewRequest>,
        read::<request::NewReview>,
        read::<request::RequestQuery>,
        read::<grant::Extend>,
        read::<grant::Revoke>,
        read::<grant::AskCredential>,
        read::<grant::GrantQuery>,
        read::<break_glass::Acknowledge>,
        read::<change::NewChangeReview>,
        read::<change::ChangeQuery>,
        read::<lock::ChangeLock>,
        read::<ssh::AskCertificate>,
        read::<ssh::Acknowledge>,
        read::<environment::EnvironmentQuery>,
        read::<delegation::NewDelegation>,
        read::<delegation::DelegationQuery>,
        read::<catalogue::ResourceQuery>,
        read::<why::WhyQuery>,
        read::<standing::StandingQuery>,
        read::<standing::InventoryQuery>,
        read::<event::AuditQuery>,
        read::<session::Kill>,
        read::<session::SessionQuery>,
        read::<login::Login>,
        read::<login::Confirm>,
        read::<login::NewToken>,
        read::<login::TokenQuery>,
        read::<ticket::CloseTicket>,
        read::<person::NewPerson>,
        read::<person::ChangeGroups>,
        read::<person::SetManager>,
        read::<person::SetOwner>,
        read::<person::SetRole>,
        read::<person::SetMail>,
        read::<person::SetHandle>,
        read::<person::SetPassword>,
        read::<person::PersonQuery>,
        read::<policy::PolicyFiles>,
        read::<explain::Explain>,
        read::<gateway::RegisterGateway>,
        read::<gateway::AskChallenge>,
        read::<gateway::Prove>,
        read::<gateway::OpenSession>,
        read::<gateway::AskWaited>,
        read::<gateway::RenewLeases>,
        read::<gateway::CloseLease>,
        read::<gateway::DeliverRecords>,
    ] {
        read(data);
    }
}
