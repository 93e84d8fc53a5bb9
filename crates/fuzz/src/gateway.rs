//! What the gateway reads: first packets, frames of both directions, and texts of statements; and all that SSH says.

use daypass_gateway::postgres::fuzzing;
use daypass_gateway::ssh::fuzzing as ssh;

pub(crate) fn startup(data: &[u8]) {
    fuzzing::startup(data);
}

pub(crate) fn session(data: &[u8]) {
    fuzzing::session(data);
}

pub(crate) fn statement(data: &[u8]) {
    fuzzing::statement(data);
}

pub(crate) fn ssh_wire(data: &[u8]) {
    ssh::wire(data);
}

pub(crate) fn ssh_transport(data: &[u8]) {
    ssh::transport(data);
}

pub(crate) fn ssh_key(data: &[u8]) {
    ssh::key(data);
}

pub(crate) fn ssh_files(data: &[u8]) {
    ssh::sftp(data);
}

pub(crate) fn ssh_session(data: &[u8]) {
    ssh::rules(data);
}
