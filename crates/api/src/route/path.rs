//! The paths, in axum's and OpenAPI's notation.

/// Log in.
pub const LOGIN: &str = "/api/v1/login";
/// Log out.
pub const LOGOUT: &str = "/api/v1/logout";
/// Prove anew who one is.
pub const CONFIRM: &str = "/api/v1/session/confirm";
/// Who one is.
pub const WHOAMI: &str = "/api/v1/whoami";
/// What would happen.
pub const PREVIEW: &str = "/api/v1/preview";
/// Requests.
pub const REQUESTS: &str = "/api/v1/requests";
/// A request.
pub const REQUEST: &str = "/api/v1/requests/{id}";
/// The reviews of a request.
pub const REVIEWS: &str = "/api/v1/requests/{id}/reviews";
/// Take a request back.
pub const CANCEL: &str = "/api/v1/requests/{id}/cancel";
/// Record that somebody looked at an emergency.
pub const ACKNOWLEDGE: &str = "/api/v1/requests/{id}/acknowledge";
/// Take access in an emergency.
pub const BREAK_GLASS: &str = "/api/v1/break-glass";
/// What that would lead to.
pub const PREVIEW_BREAK_GLASS: &str = "/api/v1/break-glass/preview";
/// Grants.
pub const GRANTS: &str = "/api/v1/grants";
/// A grant.
pub const GRANT: &str = "/api/v1/grants/{id}";
/// End a grant early.
pub const REVOKE: &str = "/api/v1/grants/{id}/revoke";
/// Give a grant back.
pub const RELEASE: &str = "/api/v1/grants/{id}/release";
/// Ask for more time.
pub const EXTEND: &str = "/api/v1/grants/{id}/extend";
/// The credentials of a grant.
pub const CREDENTIALS: &str = "/api/v1/grants/{id}/credentials";
/// A certificate for the holder's own key.
pub const CERTIFICATE: &str = "/api/v1/grants/{id}/certificate";
/// Sessions.
pub const SESSIONS: &str = "/api/v1/sessions";
/// A session.
pub const SESSION: &str = "/api/v1/sessions/{id}";
/// End a session early.
pub const SESSION_KILL: &str = "/api/v1/sessions/{id}/kill";
/// The public key of an SSH authority.
pub const SSH_AUTHORITY: &str = "/api/v1/ssh/{connector}/ca.pub";
/// Its list of the revoked.
pub const SSH_KRL: &str = "/api/v1/ssh/{connector}/krl";
/// What a host is to have in place.
pub const SSH_HOST: &str = "/api/v1/ssh/{connector}/hosts/{host}";
/// What a host has in place.
pub const SSH_ACKNOWLEDGE: &str = "/api/v1/ssh/{connector}/hosts/{host}/acknowledge";
/// A personal credential for the gateway.
pub const GATEWAY_CREDENTIAL: &str = "/api/v1/gateway/credential";
/// Public keys of people for the gateway.
pub const GATEWAY_SSH_KEYS: &str = "/api/v1/gateway/ssh-keys";
/// A gateway that runs apart is there.
pub const GATEWAY_REGISTER: &str = "/api/v1/gateway/register";
/// What somebody is asked who connects to it.
pub const GATEWAY_CHALLENGE: &str = "/api/v1/gateway/challenge";
/// What they answered.
pub const GATEWAY_PROVE: &str = "/api/v1/gateway/prove";
/// Permissions to keep a session open.
pub const GATEWAY_LEASES: &str = "/api/v1/gateway/leases";
/// How it went on for somebody who waits for one.
pub const GATEWAY_WAIT: &str = "/api/v1/gateway/wait";
/// Renew them.
pub const GATEWAY_RENEW: &str = "/api/v1/gateway/leases/renew";
/// A session is over.
pub const GATEWAY_CLOSE: &str = "/api/v1/gateway/leases/close";
/// What happened in one.
pub const GATEWAY_RECORDS: &str = "/api/v1/gateway/records";
/// Sessions that end.
pub const GATEWAY_EVENTS: &str = "/api/v1/gateway/events";
/// What was recorded of a session through the gateway.
pub const SESSION_RECORDING: &str = "/api/v1/sessions/{id}/recording";
/// What happens in it.
pub const SESSION_WATCH: &str = "/api/v1/sessions/{id}/watch";
/// The catalogue.
pub const RESOURCES: &str = "/api/v1/resources";
/// Environments.
pub const ENVIRONMENTS: &str = "/api/v1/environments";
/// The live stream.
pub const EVENTS: &str = "/api/v1/events";
/// The audit trail.
pub const AUDIT_EVENTS: &str = "/api/v1/audit/events";
/// The newest checkpoint of the log.
pub const AUDIT_CHECKPOINT: &str = "/api/v1/audit/checkpoint";
/// The key that it is verified with.
pub const AUDIT_KEY: &str = "/api/v1/audit/key";
/// How somebody who has a former key comes to the present one.
pub const AUDIT_KEY_LINKS: &str = "/api/v1/audit/key/links";
/// A tile of the log's hashes.
pub const AUDIT_TILE: &str = "/api/v1/audit/tile/{level}/{*index}";
/// A bundle of the log's entries.
pub const AUDIT_ENTRIES: &str = "/api/v1/audit/tile/entries/{*index}";
/// A proof about the log.
pub const AUDIT_PROOF: &str = "/api/v1/audit/proof";
/// A grant's entries in the log, with their proofs.
pub const GRANT_PROOF: &str = "/api/v1/grants/{id}/proof";
/// The policy in force.
pub const POLICY: &str = "/api/v1/policy";
/// Changes that wait for others.
pub const CHANGES: &str = "/api/v1/changes";
/// A change.
pub const CHANGE: &str = "/api/v1/changes/{id}";
/// The reviews of a change.
pub const CHANGE_REVIEWS: &str = "/api/v1/changes/{id}/reviews";
/// Take a change back.
pub const CHANGE_WITHDRAW: &str = "/api/v1/changes/{id}/withdraw";
/// The revisions that were put in force.
pub const POLICY_REVISIONS: &str = "/api/v1/policy/revisions";
/// One of them, with its files.
pub const POLICY_REVISION: &str = "/api/v1/policy/revisions/{revision}";
/// What differs between two of them.
pub const POLICY_DIFF: &str = "/api/v1/policy/diff";
/// Check a policy without effect.
pub const POLICY_CHECK: &str = "/api/v1/policy/check";
/// What a policy would do to people.
pub const POLICY_PLAN: &str = "/api/v1/policy/plan";
/// Why the policy answers as it does.
pub const POLICY_EXPLAIN: &str = "/api/v1/policy/explain";
/// Who has what.
pub const ACCESS: &str = "/api/v1/access";
/// The same as a matrix.
pub const ACCESS_MATRIX: &str = "/api/v1/access/matrix";
/// What people have at targets without Daypass.
pub const ACCESS_STANDING: &str = "/api/v1/access/standing";
/// Where targets and grants differ.
pub const ACCESS_DRIFT: &str = "/api/v1/access/drift";
/// Reports.
pub const REPORTS: &str = "/api/v1/reports";
/// Why somebody has access.
pub const WHY: &str = "/api/v1/why";
/// The directory.
pub const PEOPLE: &str = "/api/v1/people";
/// Somebody's groups.
pub const PERSON_GROUPS: &str = "/api/v1/people/{login}/groups";
/// Somebody's manager.
pub const PERSON_MANAGER: &str = "/api/v1/people/{login}/manager";
/// Who answers for a service account.
pub const PERSON_OWNER: &str = "/api/v1/people/{login}/owner";
/// Somebody's role in Daypass.
pub const PERSON_ROLE: &str = "/api/v1/people/{login}/role";
/// Somebody's mail address.
pub const PERSON_MAIL: &str = "/api/v1/people/{login}/mail";
/// What targets call somebody.
pub const PERSON_HANDLE: &str = "/api/v1/people/{login}/handle";
/// Somebody's password.
pub const PERSON_PASSWORD: &str = "/api/v1/people/{login}/password";
/// Switch an account off.
pub const PERSON_DEACTIVATE: &str = "/api/v1/people/{login}/deactivate";
/// Switch an account on again.
pub const PERSON_REACTIVATE: &str = "/api/v1/people/{login}/reactivate";
/// Groups.
pub const GROUPS: &str = "/api/v1/groups";
/// Sessions and API tokens.
pub const TOKENS: &str = "/api/v1/tokens";
/// A session or API token.
pub const TOKEN: &str = "/api/v1/tokens/{id}";
/// Locks.
pub const LOCKS: &str = "/api/v1/locks";
/// Open a lock.
pub const UNLOCK: &str = "/api/v1/locks/unlock";
/// Delegations.
pub const DELEGATIONS: &str = "/api/v1/delegations";
/// Take a delegation back.
pub const DELEGATION_END: &str = "/api/v1/delegations/{login}/end";
/// Tell that a ticket is closed.
pub const TICKETS_CLOSED: &str = "/api/v1/tickets/closed";
/// Connectors.
pub const CONNECTORS: &str = "/api/v1/connectors";
/// Give a connector another admin secret.
pub const CONNECTOR_ROTATE: &str = "/api/v1/connectors/{name}/rotate";
/// A survey of one.
pub const CONNECTOR_SURVEY: &str = "/api/v1/connectors/{name}/survey";
/// What a survey of it found that no resource is.
pub const CONNECTOR_FOUND: &str = "/api/v1/connectors/{name}/found";
/// The key that seals.
pub const SEALING: &str = "/api/v1/keys/sealing";
/// Seal everything by another one.
pub const SEALING_ROTATE: &str = "/api/v1/keys/sealing/rotate";
/// The keys that the log is signed with.
pub const LOG_KEY: &str = "/api/v1/keys/log";
/// Give the log another one.
pub const LOG_KEY_ROTATE: &str = "/api/v1/keys/log/rotate";
/// How the whole server is.
pub const DOCTOR: &str = "/api/v1/doctor";
/// Is the process alive?
pub const HEALTHZ: &str = "/healthz";
/// Can it serve?
pub const READYZ: &str = "/readyz";
/// Prometheus metrics.
pub const METRICS: &str = "/metrics";
/// The OpenAPI description.
pub const OPENAPI: &str = "/openapi.json";
