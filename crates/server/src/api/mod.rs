//! The routes: one thin file for each resource, and the one place where each is put under its entry in the API's list.

mod access;
mod audit;
mod break_glass;
mod catalogue;
mod changes;
mod confirm;
mod connectors;
mod delegations;
mod doctor;
mod edited;
mod environments;
mod events;
mod gateways;
mod gateways_doctor;
mod grants;
mod health;
mod inventory;
mod keys;
mod locks;
mod log;
mod log_key;
mod logins;
mod onlooker;
mod page;
mod people;
mod policies;
mod recordings;
mod reports;
mod requests;
mod revisions;
mod services;
mod sessions;
mod ssh;
mod through;
mod tickets;
mod tools;
mod typed;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use daypass_api::Route;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use crate::app::App;
use crate::http::problem::Failure;
use crate::http::{access as gate, idempotency, intake, observe, problem};

/// Each route's handler. A handler that is not in here is not served; an entry of the list that is not in here fails a test,
/// and so does a handler whose own description names another method or path than its entry.
#[expect(clippy::too_many_lines, reason = "one line for each route")]
fn handlers() -> Vec<(Route, UtoipaMethodRouter<App>)> {
    use Route as R;
    vec![
        (R::Login, routes!(logins::login)),
        (R::Logout, routes!(logins::logout)),
        (R::Confirm, routes!(confirm::confirm)),
        (R::Whoami, routes!(logins::whoami)),
        (R::Preview, routes!(requests::preview)),
        (R::AddRequest, routes!(requests::add)),
        (R::Requests, routes!(requests::list)),
        (R::Request, routes!(requests::get)),
        (R::Review, routes!(requests::review)),
        (R::Cancel, routes!(requests::cancel)),
        (R::Acknowledge, routes!(break_glass::acknowledge)),
        (R::BreakGlass, routes!(break_glass::take)),
        (R::PreviewBreakGlass, routes!(break_glass::preview)),
        (R::Grants, routes!(grants::list)),
        (R::Grant, routes!(grants::get)),
        (R::Revoke, routes!(grants::revoke)),
        (R::Release, routes!(grants::release)),
        (R::Extend, routes!(grants::extend)),
        (R::Credentials, routes!(grants::credentials)),
        (R::Certificate, routes!(ssh::certificate)),
        (R::Sessions, routes!(sessions::list)),
        (R::Session, routes!(sessions::get)),
        (R::KillSession, routes!(sessions::kill)),
        (R::SshAuthority, routes!(ssh::authority)),
        (R::SshKrl, routes!(ssh::krl)),
        (R::SshHost, routes!(ssh::host)),
        (R::SshAcknowledge, routes!(ssh::acknowledge)),
        (R::GatewayCredential, routes!(through::personal)),
        (R::AddSshKey, routes!(through::add_ssh_key)),
        (R::GatewayRegister, routes!(gateways::register)),
        (R::GatewayChallenge, routes!(gateways::challenge)),
        (R::GatewayProve, routes!(gateways::prove)),
        (R::GatewayOpen, routes!(gateways::open)),
        (R::GatewayWait, routes!(gateways::wait)),
        (R::GatewayRenew, routes!(gateways::renew)),
        (R::GatewayClose, routes!(gateways::close)),
        (R::GatewayRecord, routes!(gateways::record)),
        (R::GatewayEvents, routes!(gateways::events)),
        (R::SessionRecording, routes!(recordings::replay)),
        (R::WatchSession, routes!(recordings::watch)),
        (R::Resources, routes!(catalogue::list)),
        (R::Environments, routes!(environments::list)),
        (R::Events, routes!(events::stream)),
        (R::AuditEvents, routes!(audit::list)),
        (R::AuditCheckpoint, routes!(log::checkpoint)),
        (R::AuditKey, routes!(log::key)),
        (R::AuditKeyLinks, routes!(log::links)),
        (R::AuditTile, routes!(log::tile)),
        (R::AuditEntries, routes!(log::entries)),
        (R::AuditProof, routes!(log::proof)),
        (R::GrantProof, routes!(log::grant)),
        (R::Policy, routes!(policies::get)),
        (R::ApplyPolicy, routes!(policies::apply)),
        (R::PolicyRevisions, routes!(revisions::list)),
        (R::PolicyRevision, routes!(revisions::get)),
        (R::PolicyDiff, routes!(revisions::diff)),
        (R::CheckPolicy, routes!(policies::check)),
        (R::PlanPolicy, routes!(tools::plan)),
        (R::ExplainPolicy, routes!(tools::explain)),
        (R::Access, routes!(access::list)),
        (R::AccessMatrix, routes!(access::matrix)),
        (R::Standing, routes!(inventory::standing)),
        (R::Drift, routes!(inventory::drift)),
        (R::Reports, routes!(reports::report)),
        (R::Why, routes!(tools::why)),
        (R::Changes, routes!(changes::list)),
        (R::Change, routes!(changes::get)),
        (R::ReviewChange, routes!(changes::review)),
        (R::WithdrawChange, routes!(changes::withdraw)),
        (R::People, routes!(people::list)),
        (R::AddPerson, routes!(people::add)),
        (R::PersonGroups, routes!(people::groups)),
        (R::PersonManager, routes!(people::manager)),
        (R::PersonOwner, routes!(services::owner)),
        (R::PersonRole, routes!(people::role)),
        (R::PersonMail, routes!(people::mail)),
        (R::PersonHandle, routes!(people::handle)),
        (R::PersonPassword, routes!(people::password)),
        (R::PersonDeactivate, routes!(people::deactivate)),
        (R::PersonReactivate, routes!(people::reactivate)),
        (R::Groups, routes!(people::all_groups)),
        (R::Tokens, routes!(logins::list)),
        (R::AddToken, routes!(logins::add)),
        (R::RevokeToken, routes!(logins::revoke)),
        (R::Locks, routes!(locks::list)),
        (R::Lock, routes!(locks::lock)),
        (R::Unlock, routes!(locks::unlock)),
        (R::Delegations, routes!(delegations::list)),
        (R::Delegate, routes!(delegations::add)),
        (R::EndDelegation, routes!(delegations::end)),
        (R::TicketClosed, routes!(tickets::closed)),
        (R::Connectors, routes!(connectors::list)),
        (R::RotateConnector, routes!(connectors::rotate)),
        (R::Survey, routes!(inventory::survey)),
        (R::Found, routes!(inventory::found)),
        (R::Sealing, routes!(keys::sealing)),
        (R::RotateSealing, routes!(keys::rotate_sealing)),
        (R::LogKey, routes!(log_key::look)),
        (R::RotateLogKey, routes!(log_key::rotate)),
        (R::Doctor, routes!(doctor::look)),
        (R::Healthz, routes!(health::healthz)),
        (R::Readyz, routes!(health::readyz)),
        (R::Metrics, routes!(health::metrics)),
    ]
}

fn assembled() -> OpenApiRouter<App> {
    handlers()
        .into_iter()
        .fold(OpenApiRouter::new(), |router, (_, routes)| router.routes(routes))
}

fn described(mut api: OpenApi) -> OpenApi {
    api.info.title = "Daypass".to_owned();
    api.info.version = env!("CARGO_PKG_VERSION").to_owned();
    api.info.description =
        Some("Just-in-time access: ask, get it agreed, lose it in time, prove it.".to_owned());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    api.components
        .get_or_insert_default()
        .add_security_scheme("bearer", SecurityScheme::Http(bearer));
    // OpenAPI knows no name for "the rest of the path": there it is a parameter like any other.
    let paths = std::mem::take(&mut api.paths.paths);
    api.paths.paths = paths
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    let none: [&str; 0] = [];
    api.security = Some(vec![SecurityRequirement::new("bearer", none)]);
    api
}

/// The whole server as a service: routes, the gate before each, and what every answer carries.
pub(crate) fn router(app: App) -> Router {
    let (routes, api) = assembled().split_for_parts();
    // Written once: whoever asks is given the same bytes.
    let text = serde_json::to_vec(&described(api)).map(Bytes::from);
    let text = text.map_err(|error| error.to_string());
    let described = move || async move {
        let text = text.map_err(|error| Failure::internal(&error))?;
        Ok::<_, Failure>(([(CONTENT_TYPE, "application/json")], text))
    };
    // From here on, the last layer is the first that a request meets.
    routes
        .route(Route::OpenApi.path(), get(described))
        .route_layer(from_fn_with_state(app.clone(), idempotency::once))
        .route_layer(from_fn_with_state(app.clone(), intake::take_in))
        .route_layer(from_fn_with_state(app.clone(), gate::gate))
        .fallback(gate::no_route)
        .method_not_allowed_fallback(gate::no_method)
        // Bodies were read whole and measured by `take_in`; what is handed on needs no second limit.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Methods and paths as an OpenAPI description has them.
    fn named(api: &OpenApi) -> BTreeSet<(String, String)> {
        let paths = serde_json::to_value(&api.paths).unwrap();
        let paths = paths.as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter(|key| *key != "parameters");
                methods
                    .map(|method| (method.to_uppercase(), path.clone()))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn each_handler_stands_under_its_own_entry() {
        for (route, (schemas, paths, routes)) in handlers() {
            let api = OpenApiRouter::new()
                .routes((schemas, paths, routes))
                .into_openapi();
            let expect = (route.method().as_str().to_owned(), route.path().to_owned());
            assert_eq!(named(&api), BTreeSet::from([expect]), "{route:?}");
        }
    }

    #[test]
    fn no_two_types_share_a_name_in_the_description() {
        let mut known = std::collections::BTreeMap::new();
        for (route, (schemas, _, _)) in handlers() {
            for (name, schema) in schemas {
                let schema = serde_json::to_value(&schema).unwrap();
                let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(
                    *first, schema,
                    "{route:?}: give one of the two called {name} #[schema(as = …)]"
                );
            }
        }
        assert!(known.len() > 50, "they are looked at");
    }

    #[test]
    fn what_is_served_is_the_list_and_nothing_else() {
        let listed: BTreeSet<_> = Route::ALL.iter().copied().collect();
        let mut served: BTreeSet<_> = handlers().iter().map(|(route, _)| *route).collect();
        served.insert(Route::OpenApi);
        assert_eq!(served, listed);
        assert_eq!(
            handlers().len() + 1,
            Route::ALL.len(),
            "no entry has two handlers"
        );
    }
}
