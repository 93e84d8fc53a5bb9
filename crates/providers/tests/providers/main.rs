//! The providers against targets that really answer: the conformance suite for each, then what is particular to each.
//!
//! PostgreSQL is started from what is installed; `DAYPASS_PG_BINDIR` names another version's programs.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod stand;
