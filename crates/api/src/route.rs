//! Every route: its method and path, who may call it, and which scope a token needs for it.
//!
//! One list for the server's router, its route × role matrix, and the client. What is not in here is not served.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something, once per `Idempotency-Key`.
    Post,
    /// Replaces; repeating it changes nothing.
    Put,
    /// Removes; repeating it changes nothing.
    Delete,
}

impl Method {
    /// The method as HTTP writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may call a route at all. That one may call says nothing about whose things one sees: that is decided thing by thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// Anybody, without logging in.
    Public,
    /// Every active account.
    Member,
    /// Auditors and administrators.
    Auditor,
    /// Administrators.
    Administrator,
    /// A gateway that runs apart: a service account's token that has the scope `gateway` and nothing else.
    Gateway,
}

/// What a token may do. A token never may more than its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read.
    Read,
    /// Ask for access, use it, extend it, and end one's own.
    Request,
    /// Manage: directory, locks, connectors; with `request` beside it, ending others' access early.
    Manage,
    /// Tell that tickets are closed, and nothing else.
    Tickets,
    /// Be a gateway for the resources that the token names, and nothing else.
    Gateway,
}

impl Scope {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Read,
        Self::Request,
        Self::Manage,
        Self::Tickets,
        Self::Gateway,
    ];

    /// The scope as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Request => "request",
            Self::Manage => "manage",
            Self::Tickets => "tickets",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

pub mod path;

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident: $method:ident $path:ident, $audience:ident, $scope:expr;)*) => {
        /// A route.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Route { $($(#[$doc])* $name),* }

        impl Route {
            /// Every route that the server has.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its method.
            #[must_use]
            pub const fn method(self) -> Method {
                match self { $(Self::$name => Method::$method),* }
            }

            /// Its path, with `{…}` for what varies.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => path::$path),* }
            }

            /// Who may call it at all.
            #[must_use]
            pub const fn audience(self) -> Audience {
                match self { $(Self::$name => Audience::$audience),* }
            }

            /// The scope that a token needs; `None` where no token will do and a person must have logged in.
            #[must_use]
            pub const fn scope(self) -> Option<Scope> {
                match self { $(Self::$name => $scope),* }
            }
        }
    };
}

const READ: Option<Scope> = Some(Scope::Read);
const REQUEST: Option<Scope> = Some(Scope::Request);
const MANAGE: Option<Scope> = Some(Scope::Manage);
const TICKETS: Option<Scope> = Some(Scope::Tickets);
const GATEWAY: Option<Scope> = Some(Scope::Gateway);
/// No token will do: a person must have logged in.
const PERSON: Option<Scope> = None;

routes! {
    /// Trades a password for a session.
    Login: Post LOGIN, Public, PERSON;
    /// Ends the session or token that was used to call.
    Logout: Post LOGOUT, Member, READ;
    /// Notes on the session that its holder has just proved anew, by their password, who they are.
    Confirm: Post CONFIRM, Member, PERSON;
    /// Says who calls.
    Whoami: Get WHOAMI, Member, READ;
    /// Says what a request would lead to.
    Preview: Post PREVIEW, Member, READ;
    /// Makes a request.
    AddRequest: Post REQUESTS, Member, REQUEST;
    /// Lists requests that the caller may see.
    Requests: Get REQUESTS, Member, READ;
    /// Shows one.
    Request: Get REQUEST, Member, READ;
    /// Reviews one.
    Review: Post REVIEWS, Member, PERSON;
    /// Takes one's own back.
    Cancel: Post CANCEL, Member, REQUEST;
    /// Records that somebody looked at what was done in an emergency.
    Acknowledge: Post ACKNOWLEDGE, Member, PERSON;
    /// Takes access in an emergency.
    BreakGlass: Post BREAK_GLASS, Member, PERSON;
    /// Says what that would lead to.
    PreviewBreakGlass: Post PREVIEW_BREAK_GLASS, Member, READ;
    /// Lists grants that the caller may see.
    Grants: Get GRANTS, Member, READ;
    /// Shows one.
    Grant: Get GRANT, Member, READ;
    /// Ends one early.
    Revoke: Post REVOKE, Member, REQUEST;
    /// Gives one's own back.
    Release: Post RELEASE, Member, REQUEST;
    /// Asks for more time on one's own.
    Extend: Post EXTEND, Member, REQUEST;
    /// Sets and shows fresh credentials of one's own.
    Credentials: Post CREDENTIALS, Member, REQUEST;
    /// Signs a certificate for one's own key.
    Certificate: Post CERTIFICATE, Member, REQUEST;
    /// Lists sessions that the caller may see.
    Sessions: Get SESSIONS, Member, READ;
    /// Shows one.
    Session: Get SESSION, Member, READ;
    /// Ends one early.
    KillSession: Post SESSION_KILL, Member, REQUEST;
    /// Shows the public key of an SSH authority.
    SshAuthority: Get SSH_AUTHORITY, Public, READ;
    /// Shows its list of the revoked.
    SshKrl: Get SSH_KRL, Public, READ;
    /// Shows a host what it is to have in place.
    SshHost: Get SSH_HOST, Member, READ;
    /// Takes a host's word that it has.
    SshAcknowledge: Post SSH_ACKNOWLEDGE, Member, REQUEST;
    /// Issues a personal credential for the gateway.
    GatewayCredential: Post GATEWAY_CREDENTIAL, Member, REQUEST;
    /// Takes a public key of the caller's own, which is to open the gateway.
    AddSshKey: Post GATEWAY_SSH_KEYS, Member, PERSON;
    /// Says that a gateway which runs apart is there.
    GatewayRegister: Post GATEWAY_REGISTER, Gateway, GATEWAY;
    /// Says what somebody who connects to it is to prove.
    GatewayChallenge: Post GATEWAY_CHALLENGE, Gateway, GATEWAY;
    /// Checks what they answered.
    GatewayProve: Post GATEWAY_PROVE, Gateway, GATEWAY;
    /// Opens a session, or asks for it.
    GatewayOpen: Post GATEWAY_LEASES, Gateway, GATEWAY;
    /// Says how it went on for somebody who waits.
    GatewayWait: Post GATEWAY_WAIT, Gateway, GATEWAY;
    /// Renews leases.
    GatewayRenew: Post GATEWAY_RENEW, Gateway, GATEWAY;
    /// Takes it that a session is over.
    GatewayClose: Post GATEWAY_CLOSE, Gateway, GATEWAY;
    /// Takes what happened in one.
    GatewayRecord: Post GATEWAY_RECORDS, Gateway, GATEWAY;
    /// Streams which sessions end.
    GatewayEvents: Get GATEWAY_EVENTS, Gateway, GATEWAY;
    /// Shows what was recorded of a session.
    SessionRecording: Get SESSION_RECORDING, Member, PERSON;
    /// Shows what happens in a session from now on.
    WatchSession: Get SESSION_WATCH, Member, PERSON;
    /// Lists what there is and what it takes.
    Resources: Get RESOURCES, Member, READ;
    /// Lists environments, what they stand for and what they take.
    Environments: Get ENVIRONMENTS, Member, READ;
    /// Streams events that concern what the caller may see.
    Events: Get EVENTS, Member, READ;
    /// Lists all events.
    AuditEvents: Get AUDIT_EVENTS, Auditor, READ;
    /// Shows the log's newest checkpoint, signed, and that it goes on from an older one.
    AuditCheckpoint: Get AUDIT_CHECKPOINT, Public, READ;
    /// Shows the key that it is verified with.
    AuditKey: Get AUDIT_KEY, Public, READ;
    /// Shows how somebody who has a former key comes to the present one.
    AuditKeyLinks: Get AUDIT_KEY_LINKS, Public, READ;
    /// Shows a tile of the log's hashes.
    AuditTile: Get AUDIT_TILE, Member, READ;
    /// Shows a bundle of the log's entries.
    AuditEntries: Get AUDIT_ENTRIES, Auditor, READ;
    /// Proves that an entry is in the log, or that a shorter log is its beginning.
    AuditProof: Get AUDIT_PROOF, Member, READ;
    /// Shows all that happened to a grant as entries of the log, with their proofs.
    GrantProof: Get GRANT_PROOF, Auditor, READ;
    /// Shows the policy in force.
    Policy: Get POLICY, Auditor, READ;
    /// Puts a policy in force.
    ApplyPolicy: Put POLICY, Administrator, PERSON;
    /// Lists the revisions that were put in force.
    PolicyRevisions: Get POLICY_REVISIONS, Auditor, READ;
    /// Shows one, with its files.
    PolicyRevision: Get POLICY_REVISION, Auditor, READ;
    /// Says what differs between two.
    PolicyDiff: Get POLICY_DIFF, Auditor, READ;
    /// Checks a policy without effect.
    CheckPolicy: Post POLICY_CHECK, Auditor, READ;
    /// Says who would gain and who would lose what by a policy.
    PlanPolicy: Post POLICY_PLAN, Auditor, READ;
    /// Says what each rule says to a question: about oneself, or about anybody for auditors and administrators.
    ExplainPolicy: Post POLICY_EXPLAIN, Member, READ;
    /// Lists who has what just now, as far as the caller may see it.
    Access: Get ACCESS, Member, READ;
    /// Shows a part of the same as a matrix of people and resources.
    AccessMatrix: Get ACCESS_MATRIX, Member, READ;
    /// Lists what people have at targets without Daypass.
    Standing: Get ACCESS_STANDING, Auditor, READ;
    /// Lists where targets and grants differ, and who has for good what the policy gives just in time.
    Drift: Get ACCESS_DRIFT, Auditor, READ;
    /// Says what was asked for in a period, what became of it, and what is late.
    Reports: Get REPORTS, Auditor, READ;
    /// Says by which grants somebody has, or had, access: those that the caller may see.
    Why: Get WHY, Member, READ;
    /// Lists changes that wait for others, as far as the caller may see them.
    Changes: Get CHANGES, Member, READ;
    /// Shows one.
    Change: Get CHANGE, Member, READ;
    /// Reviews one.
    ReviewChange: Post CHANGE_REVIEWS, Member, PERSON;
    /// Takes one's own back.
    WithdrawChange: Post CHANGE_WITHDRAW, Member, PERSON;
    /// Lists accounts.
    People: Get PEOPLE, Auditor, READ;
    /// Makes an account.
    AddPerson: Post PEOPLE, Administrator, MANAGE;
    /// Changes somebody's groups.
    PersonGroups: Post PERSON_GROUPS, Administrator, MANAGE;
    /// Sets somebody's manager.
    PersonManager: Post PERSON_MANAGER, Administrator, MANAGE;
    /// Says who answers for a service account.
    PersonOwner: Post PERSON_OWNER, Administrator, PERSON;
    /// Sets somebody's role in Daypass.
    PersonRole: Post PERSON_ROLE, Administrator, PERSON;
    /// Sets where mail for somebody goes.
    PersonMail: Post PERSON_MAIL, Administrator, MANAGE;
    /// Says what targets of a namespace call somebody.
    PersonHandle: Post PERSON_HANDLE, Administrator, MANAGE;
    /// Sets one's own password, or anybody's as an administrator.
    PersonPassword: Post PERSON_PASSWORD, Member, PERSON;
    /// Switches an account off.
    PersonDeactivate: Post PERSON_DEACTIVATE, Administrator, MANAGE;
    /// Switches an account on again.
    PersonReactivate: Post PERSON_REACTIVATE, Administrator, MANAGE;
    /// Lists groups and their members.
    Groups: Get GROUPS, Auditor, READ;
    /// Lists sessions and tokens: one's own, those of service accounts that one answers for, or anybody's for auditors and
    /// administrators.
    Tokens: Get TOKENS, Member, READ;
    /// Issues a token: for oneself, or for a service account that one answers for.
    AddToken: Post TOKENS, Member, PERSON;
    /// Revokes a session or token: one's own, one of a service account that one answers for, or anybody's for administrators.
    RevokeToken: Delete TOKEN, Member, MANAGE;
    /// Lists what is locked.
    Locks: Get LOCKS, Auditor, READ;
    /// Locks a person or a resource.
    Lock: Post LOCKS, Administrator, MANAGE;
    /// Unlocks one.
    Unlock: Post UNLOCK, Administrator, PERSON;
    /// Lists delegations: those that one made or is the delegate of, or everybody's for auditors and administrators.
    Delegations: Get DELEGATIONS, Member, READ;
    /// Delegates: somebody else reviews in one's place.
    Delegate: Post DELEGATIONS, Member, PERSON;
    /// Takes a delegation back: one's own, or anybody's for administrators.
    EndDelegation: Post DELEGATION_END, Member, PERSON;
    /// Tells that a ticket is closed.
    TicketClosed: Post TICKETS_CLOSED, Administrator, TICKETS;
    /// Lists connectors and how they are.
    Connectors: Get CONNECTORS, Auditor, READ;
    /// Gives a connector another admin secret, or its authority another key.
    RotateConnector: Post CONNECTOR_ROTATE, Administrator, MANAGE;
    /// Asks for a survey of a connector.
    Survey: Post CONNECTOR_SURVEY, Administrator, MANAGE;
    /// Lists what a connector's survey found that no resource of the policy is.
    Found: Get CONNECTOR_FOUND, Auditor, READ;
    /// Shows by which keys the server seals what it keeps.
    Sealing: Get SEALING, Auditor, READ;
    /// Seals everything by another key.
    RotateSealing: Post SEALING_ROTATE, Administrator, MANAGE;
    /// Shows with which keys the log is signed.
    LogKey: Get LOG_KEY, Auditor, READ;
    /// Gives the log another key, in steps.
    RotateLogKey: Post LOG_KEY_ROTATE, Administrator, MANAGE;
    /// Looks everything over and says what is wrong.
    Doctor: Get DOCTOR, Auditor, READ;
    /// Says that the process lives.
    Healthz: Get HEALTHZ, Public, READ;
    /// Says whether it can serve.
    Readyz: Get READYZ, Public, READ;
    /// Shows metrics for Prometheus.
    Metrics: Get METRICS, Auditor, READ;
    /// Describes the API.
    OpenApi: Get OPENAPI, Public, READ;
}

impl Route {
    /// Whether its answer holds a secret: such an answer is shown once and kept nowhere, so that repeating the call under
    /// the same idempotency key cannot bring it back.
    #[must_use]
    pub const fn answers_with_secret(self) -> bool {
        matches!(
            self,
            Self::Login
                | Self::AddToken
                | Self::Credentials
                | Self::GatewayCredential
                // Tickets, each good once, and a password for a target.
                | Self::GatewayProve
                | Self::GatewayOpen
                | Self::GatewayWait
        )
    }

    /// Whether it uses up what it is called with, a ticket: it is asked once. Whatever the server answers, also that it cannot just now,
    /// the ticket may be gone.
    #[must_use]
    pub const fn uses_up_a_ticket(self) -> bool {
        matches!(self, Self::GatewayProve | Self::GatewayOpen | Self::GatewayWait)
    }

    /// Whether whoever calls it repeats it by themselves, at their own pace, and the client does not.
    #[must_use]
    pub const fn is_repeated_by_its_caller(self) -> bool {
        matches!(self, Self::GatewayRecord | Self::GatewayEvents)
    }

    /// Whether it is a call of a gateway that runs apart. Each kind has a share of its own: who waits holds up no renewal.
    #[must_use]
    pub const fn is_of_gateways(self) -> bool {
        matches!(self.audience(), Audience::Gateway)
    }

    /// Whether its body may hold a password.
    #[must_use]
    pub const fn takes_password(self) -> bool {
        matches!(
            self,
            Self::Login | Self::Confirm | Self::AddPerson | Self::PersonPassword
        )
    }

    /// Whether an idempotency key means nothing to it, and nothing of it is kept, not even a hash: its body is a password, or it
    /// changes nothing, or repeating it does no harm. Programs send the last two for each host, and would spend on them what their
    /// account may have kept.
    #[must_use]
    pub const fn keeps_nothing(self) -> bool {
        if self.is_of_gateways() {
            return true;
        }
        matches!(
            self,
            Self::Confirm
                | Self::Preview
                | Self::PreviewBreakGlass
                | Self::ExplainPolicy
                | Self::CheckPolicy
                | Self::PlanPolicy
                | Self::Certificate
                | Self::SshAcknowledge
        )
    }

    /// Whether somebody who is locked may still call it: they may read, log out, take back and give back. What follows from a
    /// call is decided again where it would be recorded.
    #[must_use]
    pub const fn is_open_to_locked(self) -> bool {
        (matches!(self.method(), Method::Get) && !self.is_of_gateways())
            || matches!(
                self,
                Self::Login
                    | Self::Logout
                    | Self::Preview
                    | Self::PreviewBreakGlass
                    | Self::CheckPolicy
                    | Self::PlanPolicy
                    | Self::ExplainPolicy
                    | Self::Cancel
                    | Self::WithdrawChange
                    | Self::Revoke
                    | Self::Release
                    | Self::KillSession
                    | Self::RevokeToken
                    | Self::GatewayClose
                    | Self::GatewayRecord
            )
    }

    /// The path with its `{…}` filled in, in order, each percent-encoded as one segment.
    ///
    /// A value that is missing leaves its `{…}`, which no server has.
    #[must_use]
    pub fn at(self, values: &[&str]) -> String {
        let mut values = values.iter();
        let segments = self
            .path()
            .split('/')
            .map(|segment| match segment.strip_prefix('{') {
                // The rest of the path: several segments.
                Some(rest) if rest.starts_with('*') => values.next().map_or_else(
                    || segment.to_owned(),
                    |value| value.split('/').map(encode).collect::<Vec<_>>().join("/"),
                ),
                Some(_) => values
                    .next()
                    .map_or_else(|| segment.to_owned(), |value| encode(value)),
                None => segment.to_owned(),
            });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// Percent-encodes all but unreserved characters. Source: RFC 3986, section 2.3.
fn encode(value: &str) -> String {
    // No URL can hold these two as one segment, encoded or not, and nothing is called so.
    if matches!(value, "." | "..") {
        return String::from("-");
    }
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_routes_are_the_same() {
        let mut seen = std::collections::BTreeSet::new();
        for route in Route::ALL {
            assert!(seen.insert((route.method().as_str(), route.path())), "{route:?}");
        }
    }

    #[test]
    fn what_varies_is_one_segment_whatever_it_holds() {
        assert_eq!(Route::Cancel.at(&["R7K2M9"]), "/api/v1/requests/R7K2M9/cancel");
        assert_eq!(
            Route::PersonRole.at(&["../../x?a#é"]),
            "/api/v1/people/..%2F..%2Fx%3Fa%23%C3%A9/role"
        );
        assert_eq!(Route::Cancel.at(&[".."]), "/api/v1/requests/-/cancel");
        assert_eq!(
            Route::AuditTile.at(&["0", "x001/../067.p/8?"]),
            "/api/v1/audit/tile/0/x001/-/067.p/8%3F"
        );
    }

    #[test]
    fn nothing_but_the_doorstep_is_public() {
        let public: Vec<_> = Route::ALL
            .iter()
            .filter(|route| route.audience() == Audience::Public)
            .collect();
        assert_eq!(
            public,
            [
                &Route::Login,
                &Route::SshAuthority,
                &Route::SshKrl,
                &Route::AuditCheckpoint,
                &Route::AuditKey,
                &Route::AuditKeyLinks,
                &Route::Healthz,
                &Route::Readyz,
                &Route::OpenApi
            ]
        );
    }
}
