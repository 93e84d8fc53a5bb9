//! Notices leave the house: what the engine queued is carried to webhooks and to people's mailboxes.
//!
//! One loop turns the log into what is to be told, and one for each channel tells it; all of it is kept in the store, so that
//! a server that falls loses nothing and another goes on. `docs/notices.md` says what is promised.

mod backoff;
mod courier;
mod mail;
#[cfg(test)]
mod postmen;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use daypass_engine::Engine;
use daypass_engine::notices::{Channel, Rules};
use tokio::sync::{Notify, broadcast, watch};

pub(crate) use backoff::MAX_AGE;
pub(crate) use courier::{Courier, Turn};
pub use mail::MailError;
pub use webhook::WebhookError;
pub(crate) use webhook::is_key;

use crate::app::App;
use crate::config::{MAIL, NoticesConfig, ServerConfig};
use crate::edge;
use crate::http::listen::{is_stopped, stopped};
use crate::secrets::ConfiguredSecrets;
use courier::{Carrier, Clock};
use webhook::Form;

/// The longest pause of these loops: how late a notice is that time alone brings about, and that another server queued.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The pause after the store did not answer.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// How long what is being delivered may take once the server is told to stop.
const LAST: Duration = Duration::from_secs(10);

/// Why notices cannot be sent as `server.yaml` says.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A webhook.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// Mail.
    #[error(transparent)]
    Mail(#[from] MailError),
}

/// The channels of a configuration, as the engine knows them.
pub(crate) fn rules(config: &NoticesConfig) -> Rules {
    let hooks = config.webhooks.iter().map(|hook| Channel {
        name: format!("webhook/{}", hook.name),
        personal: false,
        kinds: hook.kinds.clone(),
    });
    let mail = config.mail.iter().map(|mail| Channel {
        name: MAIL.to_owned(),
        personal: true,
        kinds: mail.kinds.clone(),
    });
    Rules {
        channels: hooks.chain(mail).collect(),
        ending_before: config.ending_before,
        max_age: MAX_AGE,
    }
}

/// One courier for each channel of the configuration; none where nobody is to be told.
///
/// # Errors
/// Where the certificates of a receiver cannot be used.
pub(crate) fn couriers(
    config: &ServerConfig,
    engine: &Arc<Engine>,
    clock: &Clock,
) -> Result<Vec<Courier>, NotifyError> {
    let rules = Arc::new(rules(&config.notices));
    let secrets = Arc::new(ConfiguredSecrets::new(config.secrets.clone()));
    let form = Form {
        installation: engine.store().installation().to_owned(),
        base_url: config.notices.base_url.clone(),
    };
    let mut carriers: Vec<Box<dyn Carrier>> = Vec::new();
    for hook in &config.notices.webhooks {
        carriers.push(Box::new(webhook::Webhook::new(
            hook,
            Arc::clone(&secrets),
            form.clone(),
        )?));
    }
    if let Some(mail) = &config.notices.mail {
        carriers.push(Box::new(mail::Mail::new(mail.clone(), secrets, form)?));
    }
    let worker = hex::encode(edge::random::<8>());
    // In the order of the rules: webhooks first, then mail.
    let courier = |(channel, carrier): (&Channel, Box<dyn Carrier>)| Courier {
        engine: Arc::clone(engine),
        rules: Arc::clone(&rules),
        channel: channel.name.clone(),
        carrier,
        worker: worker.clone(),
        clock: Arc::clone(clock),
    };
    Ok(rules.channels.iter().zip(carriers).map(courier).collect())
}

/// Turns what happened into what is to be told, until told to stop; wakes those who tell it.
pub(crate) async fn queue(
    app: App,
    rules: Arc<Rules>,
    wake: Vec<Arc<Notify>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut told = app.events.subscribe();
    while !is_stopped(&stop) {
        // Before the look: what is placed from here on wakes it again.
        while let Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) = told.try_recv() {}
        let pause = match app.engine.queue_notices(&rules, app.known()).await {
            Ok(more) => {
                wake.iter().for_each(|one| one.notify_one());
                if more { Duration::ZERO } else { LONGEST_PAUSE }
            }
            Err(error) => {
                tracing::warn!(%error, "who is to be told could not be worked out yet");
                AFTER_ERROR
            }
        };
        if pause.is_zero() {
            continue;
        }
        tokio::select! {
            () = stopped(&mut stop) => {}
            _ = told.recv() => {}
            () = edge::sleep(pause) => {}
        }
    }
}

/// Returns once the server is told to stop, and what is under way has had a little while.
async fn given_time(stop: &mut watch::Receiver<bool>) {
    stopped(stop).await;
    edge::sleep(LAST).await;
}

/// Tells what is due on one channel, until told to stop.
pub(crate) async fn tell(app: App, courier: Courier, wake: Arc<Notify>, mut stop: watch::Receiver<bool>) {
    while !is_stopped(&stop) {
        let turn = async {
            match app.engine.store().now().await {
                Ok(now) => courier.turn(now, &edge::dice).await,
                Err(error) => Err((Turn::default(), error.into())),
            }
        };
        let turn = tokio::select! {
            turn = turn => turn,
            // What is then still on its way is told again after the next start, or by another server: its claim runs out.
            () = given_time(&mut stop) => return,
        };
        let (Ok(done) | Err((done, _))) = &turn;
        app.metrics
            .notices(&courier.channel, done.sent, done.failed, done.dead);
        let pause = match turn {
            Ok(turn) if !turn.is_idle() => continue,
            Ok(_) => LONGEST_PAUSE,
            Err((_, error)) => {
                tracing::warn!(channel = %courier.channel, %error, "notices could not be told yet");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = wake.notified() => {}
            () = edge::sleep(pause) => {}
        }
    }
}
