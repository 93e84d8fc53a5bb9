//! One method per route. Ids may be given as unique prefixes where something is read; where something is done, the full id.

use daypass_core::id::{ChangeId, GrantId, RequestId, SessionId, TokenId};
use daypass_core::name::Name;
use daypass_core::text::Hash;

use super::{Call, Client, Error};
use crate::access::{AccessQuery, Holding, Matrix, MatrixQuery};
use crate::break_glass::Acknowledge;
use crate::catalogue::{Offer, ResourceQuery};
use crate::change::{Change, ChangeQuery, NewChangeReview};
use crate::connector::{Connector, Rotate, Rotated};
use crate::delegation::{Delegation, DelegationEnded, DelegationQuery, NewDelegation};
use crate::doctor::Checkup;
use crate::environment::{EnvironmentOffer, EnvironmentQuery};
use crate::event::{AuditEvent, AuditQuery};
use crate::explain::{Explain, Explanation};
use crate::grant::{AskCredential, Credential, Ending, Extend, Grant, GrantQuery, Revoke};
use crate::key::{LogKey, RotateLog, Sealing};
use crate::lock::{ChangeLock, Lock, Locked, Unlocked};
use crate::log::{CheckpointQuery, GrantProof, KeyLinks, LogProof, ProofQuery};
use crate::login::{Confirm, Confirmed, IssuedToken, LoggedIn, Login, NewToken, Token, TokenQuery, Whoami};
use crate::page::Page;
use crate::person::{
    ChangeGroups, Group, NewPerson, Person, PersonQuery, SetHandle, SetMail, SetManager, SetOwner,
    SetPassword, SetRole,
};
use crate::plan::Plan;
use crate::policy::{
    DiffQuery, Policy, PolicyApplied, PolicyCheck, PolicyDiff, PolicyFiles, PolicyRevision, RevisionQuery,
};
use crate::preview::Preview;
use crate::report::{Report, ReportQuery};
use crate::request::{NewRequest, NewReview, Request, RequestQuery};
use crate::route::Route;
use crate::session::{GatewayCredential, Kill, Session, SessionQuery};
use crate::ssh::{self, AskCertificate, Certificate, HostFiles, NewSshKey};
use crate::standing::{Drift, Found, InventoryQuery, Listed, Standing, StandingQuery, Survey};
use crate::ticket::{CloseTicket, TicketClosed};
use crate::why::{Why, WhyQuery};

/// A body without content.
const NOTHING: serde_json::Value = serde_json::Value::Null;
/// A query without parameters.
const ALL: [(&str, &str); 0] = [];

type Result<T> = std::result::Result<T, Error>;

/// Every method fails with the server's problem, or where no (Daypass) server answers.
#[expect(clippy::missing_errors_doc, reason = "said once, above, for all of them")]
impl Client {
    /// Trades a password for a session.
    pub async fn login(&self, login: &Login) -> Result<LoggedIn> {
        self.send(Route::Login, &[], login).await
    }

    /// Ends the session.
    pub async fn logout(&self) -> Result<()> {
        self.send(Route::Logout, &[], &NOTHING).await
    }

    /// Proves anew who one is.
    pub async fn confirm(&self, confirm: &Confirm) -> Result<Confirmed> {
        self.send(Route::Confirm, &[], confirm).await
    }

    /// Who one is.
    pub async fn whoami(&self) -> Result<Whoami> {
        self.get(Route::Whoami, &[], &ALL).await
    }

    /// What a request would lead to.
    pub async fn preview(&self, ask: &NewRequest) -> Result<Preview> {
        self.send(Route::Preview, &[], ask).await
    }

    /// Makes a request.
    pub async fn add_request(&self, ask: &NewRequest) -> Result<Request> {
        self.send(Route::AddRequest, &[], ask).await
    }

    /// Requests that one may see.
    pub async fn requests(&self, query: &RequestQuery) -> Result<Page<Request>> {
        self.get(Route::Requests, &[], query).await
    }

    /// One request, by its id or a unique prefix of it.
    pub async fn request(&self, id: &str) -> Result<Request> {
        self.get(Route::Request, &[id], &ALL).await
    }

    /// Reviews a request.
    pub async fn review(&self, id: RequestId, review: &NewReview) -> Result<Request> {
        let what = Call {
            route: Route::Review,
            decision: Some(review.decision),
        };
        self.send_as(what, &[&id.to_string()], review).await
    }

    /// Takes one's own request back.
    pub async fn cancel(&self, id: RequestId) -> Result<Request> {
        self.send(Route::Cancel, &[&id.to_string()], &NOTHING).await
    }

    /// Records that one looked at what was done in an emergency.
    pub async fn acknowledge(&self, id: RequestId, look: &Acknowledge) -> Result<Request> {
        self.send(Route::Acknowledge, &[&id.to_string()], look).await
    }

    /// Takes access in an emergency.
    pub async fn break_glass(&self, ask: &NewRequest) -> Result<Request> {
        self.send(Route::BreakGlass, &[], ask).await
    }

    /// What that would lead to.
    pub async fn preview_break_glass(&self, ask: &NewRequest) -> Result<Preview> {
        self.send(Route::PreviewBreakGlass, &[], ask).await
    }

    /// Grants that one may see.
    pub async fn grants(&self, query: &GrantQuery) -> Result<Page<Grant>> {
        self.get(Route::Grants, &[], query).await
    }

    /// One grant, by its id or a unique prefix of it.
    pub async fn grant(&self, id: &str) -> Result<Grant> {
        self.get(Route::Grant, &[id], &ALL).await
    }

    /// Ends a grant early.
    pub async fn revoke(&self, id: GrantId, revoke: &Revoke) -> Result<Ending> {
        self.send(Route::Revoke, &[&id.to_string()], revoke).await
    }

    /// Gives one's own grant back.
    pub async fn release(&self, id: GrantId) -> Result<Ending> {
        self.send(Route::Release, &[&id.to_string()], &NOTHING).await
    }

    /// Sessions that one may see.
    pub async fn sessions(&self, query: &SessionQuery) -> Result<Page<Session>> {
        self.get(Route::Sessions, &[], query).await
    }

    /// One session, by its id or a unique prefix of it.
    pub async fn session(&self, id: &str) -> Result<Session> {
        self.get(Route::Session, &[id], &ALL).await
    }

    /// Ends a session early.
    pub async fn kill_session(&self, id: SessionId, kill: &Kill) -> Result<Session> {
        self.send(Route::KillSession, &[&id.to_string()], kill).await
    }

    /// Asks for more time on one's own grant.
    pub async fn extend(&self, id: GrantId, extend: &Extend) -> Result<Request> {
        self.send(Route::Extend, &[&id.to_string()], extend).await
    }

    /// Sets and shows fresh credentials of an item of one's own grant.
    pub async fn credentials(&self, id: GrantId, ask: &AskCredential) -> Result<Credential> {
        self.send(Route::Credentials, &[&id.to_string()], ask).await
    }

    /// A personal credential for the gateway.
    pub async fn gateway_credential(&self) -> Result<GatewayCredential> {
        self.send(Route::GatewayCredential, &[], &NOTHING).await
    }

    /// Has a public key of one's own open the gateway.
    pub async fn add_ssh_key(&self, new: &NewSshKey) -> Result<Token> {
        self.send(Route::AddSshKey, &[], new).await
    }

    /// A certificate for one's own key, for an item of one's own grant.
    pub async fn certificate(&self, id: GrantId, ask: &AskCertificate) -> Result<Certificate> {
        self.send(Route::Certificate, &[&id.to_string()], ask).await
    }

    /// What a host is to have in place.
    pub async fn ssh_host(&self, connector: &Name, host: &str) -> Result<HostFiles> {
        self.get(Route::SshHost, &[connector.as_str(), host], &ALL).await
    }

    /// A host has this version of the list in place, and these lines for `TrustedUserCAKeys`.
    pub async fn ssh_acknowledge(&self, connector: &Name, host: &str, said: &ssh::Acknowledge) -> Result<()> {
        self.send(Route::SshAcknowledge, &[connector.as_str(), host], said)
            .await
    }

    /// What there is and what it takes.
    pub async fn resources(&self, query: &ResourceQuery) -> Result<Page<Offer>> {
        self.get(Route::Resources, &[], query).await
    }

    /// Environments, what they stand for and what they take.
    pub async fn environments(&self, query: &EnvironmentQuery) -> Result<Page<EnvironmentOffer>> {
        self.get(Route::Environments, &[], query).await
    }

    /// The audit trail.
    pub async fn audit_events(&self, query: &AuditQuery) -> Result<Page<AuditEvent>> {
        self.get(Route::AuditEvents, &[], query).await
    }

    /// The log's newest checkpoint: a signed note.
    pub async fn log_checkpoint(&self) -> Result<Vec<u8>> {
        self.get_bytes(Route::AuditCheckpoint, &[]).await
    }

    /// The same as the query wants it: with the proof that it goes on from an older one, or signed by witnesses.
    pub async fn log_checkpoint_by(&self, query: &CheckpointQuery) -> Result<Vec<u8>> {
        self.get_bytes_by(Route::AuditCheckpoint, query).await
    }

    /// The key that checkpoints are verified with, as the server says.
    pub async fn log_key(&self) -> Result<Vec<u8>> {
        self.get_bytes(Route::AuditKey, &[]).await
    }

    /// How somebody who has a former key of the log comes to the present one. Nothing of it is to be believed unproved.
    pub async fn log_key_links(&self) -> Result<KeyLinks> {
        self.get(Route::AuditKeyLinks, &[], &ALL).await
    }

    /// A tile of hashes: its level, and its number as C2SP `tlog-tiles` writes it.
    pub async fn log_tile(&self, level: &str, index: &str) -> Result<Vec<u8>> {
        self.get_bytes(Route::AuditTile, &[level, index]).await
    }

    /// A bundle of entries.
    pub async fn log_entries(&self, index: &str) -> Result<Vec<u8>> {
        self.get_bytes(Route::AuditEntries, &[index]).await
    }

    /// A proof about the log.
    pub async fn log_proof(&self, query: &ProofQuery) -> Result<LogProof> {
        self.get(Route::AuditProof, &[], query).await
    }

    /// All that happened to a grant, with proofs.
    pub async fn grant_proof(&self, grant: &str) -> Result<GrantProof> {
        self.get(Route::GrantProof, &[grant], &ALL).await
    }

    /// The policy in force.
    pub async fn policy(&self) -> Result<Policy> {
        self.get(Route::Policy, &[], &ALL).await
    }

    /// The revisions that were put in force, newest first.
    pub async fn policy_revisions(&self, query: &RevisionQuery) -> Result<Page<PolicyRevision>> {
        self.get(Route::PolicyRevisions, &[], query).await
    }

    /// One of them, with its files.
    pub async fn policy_revision(&self, revision: Hash) -> Result<PolicyRevision> {
        self.get(Route::PolicyRevision, &[&revision.to_string()], &ALL)
            .await
    }

    /// What differs between two of them.
    pub async fn policy_diff(&self, query: &DiffQuery) -> Result<PolicyDiff> {
        self.get(Route::PolicyDiff, &[], query).await
    }

    /// Puts a policy in force.
    pub async fn apply_policy(&self, files: &PolicyFiles) -> Result<PolicyApplied> {
        self.send(Route::ApplyPolicy, &[], files).await
    }

    /// Checks a policy without effect.
    pub async fn check_policy(&self, files: &PolicyFiles) -> Result<PolicyCheck> {
        self.send(Route::CheckPolicy, &[], files).await
    }

    /// Who would gain and who would lose what by a policy.
    pub async fn plan_policy(&self, files: &PolicyFiles) -> Result<Plan> {
        self.send(Route::PlanPolicy, &[], files).await
    }

    /// What each rule of the policy says to a question.
    pub async fn explain_policy(&self, question: &Explain) -> Result<Explanation> {
        self.send(Route::ExplainPolicy, &[], question).await
    }

    /// Who has what just now, as far as one may see it.
    pub async fn access(&self, query: &AccessQuery) -> Result<Page<Holding>> {
        self.get(Route::Access, &[], query).await
    }

    /// A part of the same as a matrix.
    pub async fn access_matrix(&self, query: &MatrixQuery) -> Result<Matrix> {
        self.get(Route::AccessMatrix, &[], query).await
    }

    /// What people have at targets without Daypass.
    pub async fn standing(&self, query: &StandingQuery) -> Result<Listed<Standing>> {
        self.get(Route::Standing, &[], query).await
    }

    /// Where targets and grants differ.
    pub async fn drift(&self, query: &InventoryQuery) -> Result<Listed<Drift>> {
        self.get(Route::Drift, &[], query).await
    }

    /// Asks for a survey of a connector.
    pub async fn survey(&self, connector: &Name) -> Result<Survey> {
        self.send(Route::Survey, &[connector.as_str()], &NOTHING).await
    }

    /// What its survey found that no resource of the policy is.
    pub async fn found(&self, connector: &Name, query: &InventoryQuery) -> Result<Listed<Found>> {
        self.get(Route::Found, &[connector.as_str()], query).await
    }

    /// What was asked for in a period, what became of it, and what is late.
    pub async fn report(&self, query: &ReportQuery) -> Result<Report> {
        self.get(Route::Reports, &[], query).await
    }

    /// By which grants somebody has, or had, access.
    pub async fn why(&self, query: &WhyQuery) -> Result<Why> {
        self.get(Route::Why, &[], query).await
    }

    /// Changes that wait for others, as far as one may see them.
    pub async fn changes(&self, query: &ChangeQuery) -> Result<Page<Change>> {
        self.get(Route::Changes, &[], query).await
    }

    /// One change, by its id or a unique prefix of it.
    pub async fn change(&self, id: &str) -> Result<Change> {
        self.get(Route::Change, &[id], &ALL).await
    }

    /// Reviews a change.
    pub async fn review_change(&self, id: ChangeId, review: &NewChangeReview) -> Result<Change> {
        let what = Call {
            route: Route::ReviewChange,
            decision: Some(review.decision),
        };
        self.send_as(what, &[&id.to_string()], review).await
    }

    /// Takes one's own change back.
    pub async fn withdraw_change(&self, id: ChangeId) -> Result<Change> {
        self.send(Route::WithdrawChange, &[&id.to_string()], &NOTHING)
            .await
    }

    /// Accounts.
    pub async fn people(&self, query: &PersonQuery) -> Result<Page<Person>> {
        self.get(Route::People, &[], query).await
    }

    /// Makes an account.
    pub async fn add_person(&self, person: &NewPerson) -> Result<Person> {
        self.send(Route::AddPerson, &[], person).await
    }

    /// Changes somebody's groups.
    pub async fn change_groups(&self, login: &Name, change: &ChangeGroups) -> Result<Person> {
        self.send(Route::PersonGroups, &[login.as_str()], change).await
    }

    /// Says who answers for a service account. All of its tokens end.
    pub async fn set_owner(&self, login: &Name, owner: &SetOwner) -> Result<Person> {
        self.send(Route::PersonOwner, &[login.as_str()], owner).await
    }

    /// Sets or clears somebody's manager.
    pub async fn set_manager(&self, login: &Name, manager: &SetManager) -> Result<Person> {
        self.send(Route::PersonManager, &[login.as_str()], manager).await
    }

    /// Sets somebody's role in Daypass.
    pub async fn set_role(&self, login: &Name, role: &SetRole) -> Result<Person> {
        self.send(Route::PersonRole, &[login.as_str()], role).await
    }

    /// Sets where mail for somebody goes.
    pub async fn set_mail(&self, login: &Name, mail: &SetMail) -> Result<Person> {
        self.send(Route::PersonMail, &[login.as_str()], mail).await
    }

    /// Says what targets of a namespace call somebody, or that they know them no more. What was given to another handle ends.
    pub async fn set_handle(&self, login: &Name, handle: &SetHandle) -> Result<Person> {
        self.send(Route::PersonHandle, &[login.as_str()], handle).await
    }

    /// Sets a password. All of that account's sessions and tokens end.
    pub async fn set_password(&self, login: &Name, password: &SetPassword) -> Result<Person> {
        self.send(Route::PersonPassword, &[login.as_str()], password)
            .await
    }

    /// Switches an account off.
    pub async fn deactivate(&self, login: &Name) -> Result<Person> {
        self.send(Route::PersonDeactivate, &[login.as_str()], &NOTHING)
            .await
    }

    /// Switches an account on again.
    pub async fn reactivate(&self, login: &Name) -> Result<Person> {
        self.send(Route::PersonReactivate, &[login.as_str()], &NOTHING)
            .await
    }

    /// Groups and their members.
    pub async fn groups(&self) -> Result<Page<Group>> {
        self.get(Route::Groups, &[], &ALL).await
    }

    /// Sessions and API tokens.
    pub async fn tokens(&self, query: &TokenQuery) -> Result<Page<Token>> {
        self.get(Route::Tokens, &[], query).await
    }

    /// Issues an API token.
    pub async fn add_token(&self, token: &NewToken) -> Result<IssuedToken> {
        self.send(Route::AddToken, &[], token).await
    }

    /// Revokes a session or API token.
    pub async fn revoke_token(&self, id: TokenId) -> Result<()> {
        self.get(Route::RevokeToken, &[&id.to_string()], &ALL).await
    }

    /// What is locked.
    pub async fn locks(&self) -> Result<Page<Lock>> {
        self.get(Route::Locks, &[], &ALL).await
    }

    /// Locks a person or a resource.
    pub async fn lock(&self, lock: &ChangeLock) -> Result<Locked> {
        self.send(Route::Lock, &[], lock).await
    }

    /// Unlocks one.
    pub async fn unlock(&self, lock: &ChangeLock) -> Result<Unlocked> {
        self.send(Route::Unlock, &[], lock).await
    }

    /// Delegations.
    pub async fn delegations(&self, query: &DelegationQuery) -> Result<Page<Delegation>> {
        self.get(Route::Delegations, &[], query).await
    }

    /// Delegates.
    pub async fn delegate(&self, delegation: &NewDelegation) -> Result<Delegation> {
        self.send(Route::Delegate, &[], delegation).await
    }

    /// Takes a delegation back.
    pub async fn end_delegation(&self, login: &str) -> Result<DelegationEnded> {
        self.send(Route::EndDelegation, &[login], &NOTHING).await
    }

    /// Tells that a ticket is closed.
    pub async fn ticket_closed(&self, ticket: &CloseTicket) -> Result<TicketClosed> {
        self.send(Route::TicketClosed, &[], ticket).await
    }

    /// Connectors and how they are.
    pub async fn connectors(&self) -> Result<Page<Connector>> {
        self.get(Route::Connectors, &[], &ALL).await
    }

    /// Gives a connector another admin secret, or its authority another key.
    pub async fn rotate(&self, connector: &Name, how: Rotate) -> Result<Rotated> {
        let at = [connector.as_str()];
        if how.now {
            return self.send(Route::RotateConnector, &at, &how).await;
        }
        self.send(Route::RotateConnector, &at, &NOTHING).await
    }

    /// By which keys the server seals what it keeps.
    pub async fn sealing(&self) -> Result<Sealing> {
        self.get(Route::Sealing, &[], &ALL).await
    }

    /// Seals everything by another key.
    pub async fn rotate_sealing(&self) -> Result<Sealing> {
        self.send(Route::RotateSealing, &[], &NOTHING).await
    }

    /// With which keys the log is signed.
    pub async fn log_keys(&self) -> Result<LogKey> {
        self.get(Route::LogKey, &[], &ALL).await
    }

    /// Gives the log another key, or goes on with what was begun.
    pub async fn rotate_log_key(&self, how: RotateLog) -> Result<LogKey> {
        self.send(Route::RotateLogKey, &[], &how).await
    }

    /// What the server finds when it looks itself over.
    pub async fn doctor(&self) -> Result<Checkup> {
        self.get(Route::Doctor, &[], &ALL).await
    }
}
