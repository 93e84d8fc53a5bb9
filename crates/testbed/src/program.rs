//! Where programs of other projects are on this machine.

use std::path::PathBuf;

/// What this variable of the environment names, if it is set; else the first of the places that there is. The error is where it was
/// looked, for a person to read.
pub(crate) fn installed(variable: &str, places: &[&str]) -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os(variable) {
        let named = PathBuf::from(named);
        let looked = format!("{variable}={}", named.display());
        return named.is_file().then_some(named).ok_or(looked);
    }
    let found = places.iter().map(PathBuf::from).find(|place| place.is_file());
    found.ok_or_else(|| places.join(", "))
}
