//! Installs what the lane `pages` looks at pages with: Chromium with its driver, and npm, which fetches axe-core for the tests.

use super::languages;

/// What to do where we do not know how to install it.
const BY_HAND: &str = "\
  Try, and run this again:
    Fedora, RHEL     dnf install chromium chromedriver
    Arch             pacman -S chromium
    Alpine           apk add chromium chromium-chromedriver
  or set DAYPASS_CHROMEDRIVER to the driver of a Chromium or Chrome that it finds.";

pub(crate) fn command() -> anyhow::Result<()> {
    if daypass_testbed::browser::installed().is_err() {
        // It brings the browser that it is the driver of.
        super::debian(("Chromium with its driver", BY_HAND), "chromium-driver")?;
    }
    eprintln!("✓ {}", daypass_testbed::browser::installed()?.display());
    languages::npm()
}
