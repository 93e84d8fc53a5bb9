//! What `xtask` tells the person who waits: what it does now, and how long that took.
#![expect(
    clippy::disallowed_methods,
    reason = "the stopwatch of the developer's command line; nothing is decided by it"
)]

use std::time::{Duration, Instant};

/// Says what is about to happen, does it, and says how long it took; the error carries the step's name.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, Duration)> {
    eprintln!("── {what}");
    let begun = Instant::now();
    let done = work().map_err(|error| error.context(what.to_owned()))?;
    let took = begun.elapsed();
    eprintln!("── {what}: done in {}", human(took));
    Ok((done, took))
}

/// `0.4 s`, `12 s`, `3 min 05 s`.
pub(crate) fn human(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(human(Duration::from_millis(420)), "0.4 s");
        assert_eq!(human(Duration::from_secs(59)), "59 s");
        assert_eq!(human(Duration::from_secs(185)), "3 min 05 s");
    }

    #[test]
    fn an_error_names_its_step() {
        let error = step("building a boat", || anyhow::bail!("no wood"))
            .map(|((), _)| ())
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "building a boat: no wood");
    }
}
