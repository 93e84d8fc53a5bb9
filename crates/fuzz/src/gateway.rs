//! What the gateway reads: first packets, frames of both directions, and texts of statements.

use daypass_gateway::postgres::fuzzing;

pub(crate) fn startup(data: &[u8]) {
    fuzzing::startup(data);
}

pub(crate) fn session(data: &[u8]) {
    fuzzing::session(data);
}

pub(crate) fn statement(data: &[u8]) {
    fuzzing::statement(data);
}
