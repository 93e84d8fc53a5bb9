//! `daypass server --check`: says what is wrong with the operator's files, and starts nothing.

use std::path::PathBuf;

use daypass_server::config::{ServerConfig, StoreConfig};

use super::files;
use crate::failure::Failure;
use crate::terminal::say;

/// Reads everything that a start would read, but the store.
pub(super) async fn check(config: &ServerConfig, policy: &[PathBuf]) -> Result<(), Failure> {
    say("✓ the configuration is sound");
    daypass_server::try_secrets(config).map_err(|error| Failure::error(error.to_string()))?;
    if !config.secrets.is_empty() {
        say(format!("✓ its secrets can be read ({})", config.secrets.len()));
    }
    daypass_server::try_programs(config).map_err(Failure::error)?;
    if !config.programs.is_empty() {
        say(format!("✓ its programs can be run ({})", config.programs.len()));
    }
    if policy.is_empty() {
        say("! there are no policy files beside it; a first start needs some");
        return Ok(());
    }
    let sources = files::read(policy)?;
    // A store of its own, in memory: the policy is checked with the kinds of target that this server knows.
    let config = ServerConfig {
        store: StoreConfig::Memory,
        ..config.clone()
    };
    let engine = daypass_server::open(&config, daypass_providers::ALL).await?;
    let checked = engine.check_policy(&sources)?;
    if !checked.findings.is_empty() {
        let found: Vec<_> = checked
            .findings
            .iter()
            .map(|finding| format!("  {}: {}", finding.location, finding.message))
            .collect();
        return Err(Failure::error(format!(
            "the policy is not sound:\n{}",
            found.join("\n")
        )));
    }
    let failed: Vec<_> = checked
        .tests
        .iter()
        .filter(|test| !test.passed)
        .map(|test| {
            format!(
                "  {}: {}: expected {}, got {}",
                test.location, test.question, test.expected, test.got
            )
        })
        .collect();
    if !failed.is_empty() {
        let what = format!("the policy's own tests fail:\n{}", failed.join("\n"));
        return Err(Failure::policy_test(what));
    }
    say(format!(
        "✓ the policy is sound; its tests pass ({})",
        checked.tests.len()
    ));
    Ok(())
}
