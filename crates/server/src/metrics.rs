//! What Prometheus can scrape. Each server has its own registry, so that two in one process do not add up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use daypass_core::time::Timestamp;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::witnesses::View;

/// Upper bounds of the buckets for requests and reconciler passes, in seconds.
const SECONDS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// A server's registry.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// The channels whose backlog was shown. One that is gone would stand at its last value for ever.
    channels: Mutex<BTreeSet<String>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let builder = PrometheusBuilder::new();
        let suffix = Matcher::Suffix("_seconds".to_owned());
        // The only error is an empty list of buckets, which this is not.
        let builder = builder
            .set_buckets_for_metric(suffix, &SECONDS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Self {
            recorder,
            handle,
            channels: Mutex::default(),
        }
    }
}

/// What is counted at the moment of a scrape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Gauges {
    /// Requests that wait for people.
    pub requests_pending: u64,
    /// Reviews that are owed after an emergency.
    pub reviews_owed: u64,
    /// Those that nobody gave in time.
    pub reviews_overdue: u64,
    /// What is locked.
    pub locks: u64,
    /// Sessions through gateways that are not over.
    pub sessions_live: u64,
    /// Grants whose access is there.
    pub grants_active: u64,
    /// Grants that are being set up.
    pub grants_activating: u64,
    /// Grants that are being taken away.
    pub grants_ending: u64,
    /// Grants whose removal takes too long.
    pub grants_overdue: u64,
}

impl Metrics {
    /// One HTTP request was answered. `route` is the route's pattern, never the path that a client typed.
    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let (method, route) = (method.to_owned(), route.to_owned());
        metrics::with_local_recorder(&self.recorder, || {
            let (m, r) = (method.clone(), route.clone());
            metrics::counter!("daypass_http_requests_total", "method" => m, "route" => r, "status" => status.to_string())
                .increment(1);
            metrics::histogram!("daypass_http_request_seconds", "method" => method, "route" => route)
                .record(took.as_secs_f64());
        });
    }

    /// Somebody tried to log in.
    pub(crate) fn login(&self, outcome: &'static str) {
        metrics::with_local_recorder(&self.recorder, || {
            metrics::counter!("daypass_logins_total", "outcome" => outcome).increment(1);
        });
    }

    /// An event was recorded.
    pub(crate) fn event(&self, name: &'static str) {
        metrics::with_local_recorder(&self.recorder, || {
            metrics::counter!("daypass_events_total", "event" => name).increment(1);
        });
    }

    /// Calls to a target began to fail in this way.
    pub(crate) fn failing(&self, fault: &str, doing: &str) {
        let (fault, doing) = (fault.to_owned(), doing.to_owned());
        metrics::with_local_recorder(&self.recorder, || {
            metrics::counter!("daypass_provider_failures_total", "fault" => fault, "doing" => doing)
                .increment(1);
        });
    }

    /// A turn at telling notices on a channel ended.
    pub(crate) fn notices(&self, channel: &str, sent: u64, failed: u64, dead: u64) {
        let channel = channel.to_owned();
        metrics::with_local_recorder(&self.recorder, || {
            let (one, other) = (channel.clone(), channel.clone());
            metrics::counter!("daypass_notices_sent_total", "channel" => one).increment(sent);
            metrics::counter!("daypass_notices_failed_total", "channel" => other).increment(failed);
            metrics::counter!("daypass_notices_dead_total", "channel" => channel).increment(dead);
        });
    }

    /// How a channel stands: what waits, what was given up, and for how many seconds the oldest has waited.
    pub(crate) fn backlog(&self, channel: &str, waiting: u64, dead: u64, oldest: f64) {
        let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let channel = channel.to_owned();
        metrics::with_local_recorder(&self.recorder, || {
            let (one, other) = (channel.clone(), channel.clone());
            metrics::gauge!("daypass_notices_waiting", "channel" => one).set(number(waiting));
            metrics::gauge!("daypass_notices_dead", "channel" => other).set(number(dead));
            metrics::gauge!("daypass_notices_oldest_seconds", "channel" => channel).set(oldest);
        });
    }

    /// These are the channels that have a backlog now, if an empty one; what was shown of others is over.
    pub(crate) fn only_channels(&self, now: &BTreeSet<String>) {
        let before = {
            let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *channels, now.clone())
        };
        for gone in before.difference(now) {
            self.backlog(gone, 0, 0, 0.0);
        }
    }

    /// A pass of the reconciler ended.
    pub(crate) fn pass(&self, outcome: &'static str, took: Duration, at: Timestamp) {
        metrics::with_local_recorder(&self.recorder, || {
            metrics::counter!("daypass_reconcile_passes_total", "outcome" => outcome).increment(1);
            metrics::histogram!("daypass_reconcile_pass_seconds").record(took.as_secs_f64());
            if outcome == "done" {
                metrics::gauge!("daypass_reconcile_last_success_timestamp_seconds")
                    .set(at.since(Timestamp::EPOCH).to_std().as_secs_f64());
            }
        });
    }

    /// How a connector fares: whether its last call worked, and how many failed since the start.
    pub(crate) fn connector(&self, name: &str, up: bool, failures: &BTreeMap<&'static str, u64>) {
        let name = name.to_owned();
        metrics::with_local_recorder(&self.recorder, || {
            metrics::gauge!("daypass_connector_up", "connector" => name.clone()).set(if up {
                1.0
            } else {
                0.0
            });
            for (doing, count) in failures {
                metrics::counter!("daypass_connector_failures_total", "connector" => name.clone(), "doing" => *doing)
                    .absolute(*count);
            }
        });
    }

    /// Whether the log is signed, and up to how many entries.
    pub(crate) fn signed(&self, goes_on: bool, size: u64) {
        metrics::with_local_recorder(&self.recorder, || {
            metrics::gauge!("daypass_log_signing").set(u32::from(goes_on));
            if goes_on {
                metrics::gauge!("daypass_log_signed_entries").set(u32::try_from(size).unwrap_or(u32::MAX));
            }
        });
    }

    /// How a witness of the log stands: whether it signs, how far it has signed, and whether it signed what this store does not go on from.
    pub(crate) fn witness(&self, name: &str, view: &View) {
        let name = name.to_owned();
        let (signs, conflict) = (
            matches!(view, View::Cosigned(..)),
            matches!(view, View::Conflict(_)),
        );
        metrics::with_local_recorder(&self.recorder, || {
            let (one, other) = (name.clone(), name.clone());
            metrics::gauge!("daypass_log_witness_up", "witness" => one).set(u32::from(signs));
            metrics::gauge!("daypass_log_witness_conflict", "witness" => other).set(u32::from(conflict));
            if let View::Cosigned(size, _) = view {
                metrics::gauge!("daypass_log_witnessed_entries", "witness" => name)
                    .set(u32::try_from(*size).unwrap_or(u32::MAX));
            }
        });
    }

    /// How many clients listen to events.
    pub(crate) fn listeners(&self, count: usize) {
        metrics::with_local_recorder(&self.recorder, || {
            metrics::gauge!("daypass_event_listeners").set(u32::try_from(count).unwrap_or(u32::MAX));
        });
    }

    /// Takes in what was measured since the last time. Measurements wait in memory until then, whether or not anybody asks.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Whether a gateway that runs apart is there.
    pub(crate) fn gateway(&self, name: &str, is_there: bool) {
        let name = name.to_owned();
        metrics::with_local_recorder(&self.recorder, || {
            metrics::gauge!("daypass_gateway_up", "gateway" => name).set(if is_there { 1.0 } else { 0.0 });
        });
    }

    /// How many sessions of a protocol this server's gateways have.
    pub(crate) fn sessions(&self, protocol: &'static str, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        metrics::with_local_recorder(&self.recorder, || {
            metrics::gauge!("daypass_gateway_sessions", "protocol" => protocol).set(count);
        });
    }

    /// All of it as text, with what was counted just now.
    #[must_use]
    pub(crate) fn render(&self, now: Gauges) -> String {
        let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        metrics::with_local_recorder(&self.recorder, || {
            metrics::gauge!("daypass_requests_pending").set(number(now.requests_pending));
            metrics::gauge!("daypass_break_glass_reviews_owed").set(number(now.reviews_owed));
            metrics::gauge!("daypass_break_glass_reviews_overdue").set(number(now.reviews_overdue));
            metrics::gauge!("daypass_locks").set(number(now.locks));
            metrics::gauge!("daypass_sessions_live").set(number(now.sessions_live));
            metrics::gauge!("daypass_grants", "state" => "activating").set(number(now.grants_activating));
            metrics::gauge!("daypass_grants", "state" => "active").set(number(now.grants_active));
            metrics::gauge!("daypass_grants", "state" => "ending").set(number(now.grants_ending));
            metrics::gauge!("daypass_grants_overdue").set(number(now.grants_overdue));
        });
        self.upkeep();
        self.handle.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_counts_for_itself() {
        let (one, other) = (Metrics::default(), Metrics::default());
        one.request("GET", "/api/v1/requests/{id}", 200, Duration::from_millis(3));
        one.failing("unavailable", "revoke");
        let text = one.render(Gauges {
            grants_overdue: 2,
            ..Gauges::default()
        });
        assert!(
            text.contains(
                "daypass_http_requests_total{method=\"GET\",route=\"/api/v1/requests/{id}\",status=\"200\"} 1"
            ),
            "{text}"
        );
        assert!(text.contains("daypass_http_request_seconds_bucket{"), "{text}");
        assert!(text.contains("daypass_grants_overdue 2"), "{text}");
        assert!(
            text.contains("daypass_provider_failures_total{fault=\"unavailable\",doing=\"revoke\"} 1"),
            "{text}"
        );
        assert!(
            !other
                .render(Gauges::default())
                .contains("daypass_http_requests_total")
        );
    }
}
