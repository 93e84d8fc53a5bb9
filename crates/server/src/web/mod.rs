//! The pages: what people see in a browser.
//!
//! **They are a client of the API, like any other**, in the same process (`within.rs`): every page asks what a command of the command line would ask,
//! with the session of whoever looks, through the same gate. So nothing here decides who may do what, and no page can show or do what the API refuses.
//!
//! `entry.rs` says what comes before a page, `visit.rs` who is there, `guard.rs` what every answer carries and which forms are taken, `frame.rs` is what all pages share. Each page is one
//! file with its template beside it. All work without a script; `assets/` makes them live.

mod access;
mod account;
mod approvals;
mod ask;
mod assets;
mod audit;
mod away;
mod catalogue;
mod changes;
mod chart;
mod cookie;
mod demo;
mod entry;
mod failed;
mod frame;
mod guard;
mod health;
mod led;
mod live;
mod measure;
mod paced;
mod palette;
mod player;
mod policy;
mod proof;
mod recording;
mod records;
mod refused;
mod reports;
mod request;
mod review;
mod session;
mod sessions;
mod sign_in;
mod standing;
mod verify;
mod visit;
mod watch;
mod who;
mod within;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use daypass_api::client::{Client, Error};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::demo::leading_to;
use crate::app::App;
use crate::http::observe::{self, ASSETS};
use crate::personas::Personas;

/// What pages need.
#[derive(Clone)]
pub(crate) struct Web {
    /// Limits and shares, which pages have as calls of the API have.
    app: App,
    /// The API, of nobody yet.
    api: Client,
    /// Browsers reach this over TLS alone.
    secure: bool,
    /// Who one can be, in a demo.
    personas: Option<Arc<Personas>>,
}

/// The pages, in front of the API that they ask.
///
/// # Errors
/// Where no client of it can be made.
pub(crate) fn pages(app: &App, api: Router, personas: Option<Arc<Personas>>) -> Result<Router, Error> {
    let web = Web {
        app: Arc::clone(app),
        api: within::client(api)?,
        secure: app.over_tls,
        personas,
    };
    let of_demo = web.personas.as_ref().map(|_| demo::routes());
    let routes = Router::new()
        .route("/", get(access::page))
        .route("/sign-in", get(sign_in::page).post(sign_in::enter))
        .route("/sign-out", post(sign_in::leave))
        .route("/catalogue", get(catalogue::page))
        .route("/ask/{resource}/{role}", get(ask::page).post(ask::send))
        .route(
            "/break-glass/{resource}/{role}",
            get(ask::emergency).post(ask::take),
        )
        .route("/approvals", get(approvals::page))
        .route("/requests/{id}", get(request::page))
        .route("/requests/{id}/review", post(review::review))
        .route("/requests/{id}/acknowledge", post(review::acknowledge))
        .route("/requests/{id}/cancel", post(request::cancel))
        .route("/grants/{id}/release", post(access::release))
        .route("/grants/{id}/revoke", post(access::revoke))
        .route("/sessions", get(sessions::page))
        .route("/sessions/{id}", get(session::page))
        .route("/sessions/{id}/kill", post(sessions::kill))
        .route("/changes/{id}", get(changes::page))
        .route("/changes/{id}/review", post(changes::review))
        .route("/changes/{id}/withdraw", post(changes::withdraw))
        .merge(policy::routes())
        .route("/who", get(who::page))
        .route("/standing", get(standing::page))
        .route("/standing/survey", post(standing::survey))
        .route("/sessions/{id}/recording", get(recording::page))
        .route("/sessions/{id}/programs/{channel}/frames", get(player::frames))
        .route("/sessions/{id}/watch", get(watch::page))
        .route("/sessions/{id}/watch/stream", get(watch::stream))
        .route("/audit", get(audit::page))
        .route("/audit/events.ndjson", get(audit::export))
        .route("/audit/verify", get(verify::page))
        .route("/reports", get(reports::page))
        .route("/reports/{table}", get(reports::table))
        .route("/health", get(health::page))
        .route("/account", get(account::page))
        .route("/account/{id}/end", post(account::end))
        .route("/account/away", post(away::leave))
        .route("/account/away/{login}/end", post(away::come_back))
        .route("/palette", get(palette::page))
        .route("/grants/{id}/extend", post(access::extend))
        .route("/live", get(live::stream))
        .route(ASSETS, get(assets::serve))
        .merge(of_demo.unwrap_or_default());
    // The last layer is the first that a request meets.
    Ok(routes
        .layer(from_fn(proof::proving))
        .layer(from_fn_with_state(web.clone(), entry::enter))
        .layer(CatchPanicLayer::custom(failed::panicked))
        .layer(from_fn_with_state(web.clone(), guard::guard))
        .layer(from_fn_with_state(Arc::clone(app), observe::page))
        // What is handed on was read whole and measured by `entry`.
        .layer(DefaultBodyLimit::disable())
        .with_state(web))
}
