//! Log lines to standard error: for people, or one JSON object a line. What is logged are ids, codes and lengths of time;
//! no header, body, token, password or free text of a person is ever handed to it.

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::config::{LogConfig, LogFormat};

/// A subscriber that writes to `writer` as configured.
pub fn subscriber<W>(config: &LogConfig, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The level was checked when server.yaml was read; what a caller built by hand falls back to info.
    let filter = EnvFilter::builder()
        .parse(&config.level)
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    match config.format {
        LogFormat::Text => Box::new(
            registry.with(
                tracing_subscriber::fmt::layer()
                    .with_writer(writer)
                    .with_ansi(colorful())
                    .with_target(false),
            ),
        ),
        LogFormat::Json => Box::new(
            registry.with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(writer),
            ),
        ),
    }
}

/// Colours are for a terminal alone, and not for those who want none (<https://no-color.org>).
fn colorful() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::IsTerminal::is_terminal(&std::io::stderr()) && !unwanted
}

/// Sends the log lines of the whole process to standard error. Where a subscriber is installed already, it stays.
pub fn install(config: &LogConfig) {
    // The only error is "one is installed already", which the demo and tests mean to keep.
    let _kept = tracing::subscriber::set_global_default(subscriber(config, std::io::stderr));
}
