//! Whatever reads bytes of strangers, one function each, that any bytes may be thrown at: none may panic, hang or answer what
//! contradicts itself.
//!
//! Two drive them. The tests of this crate throw the seeds in `fuzz/seeds` and what becomes of them by chance, always the same;
//! `fuzz/` has them as targets of `cargo fuzz`, which looks for inputs that go new ways through the code (`fuzz/README.md`).

mod gateway;
mod log;
mod policy;
mod wire;

/// Something that reads bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, that of its folder of seeds, and of its target of `cargo fuzz`.
    pub name: &'static str,
    /// Reads them.
    pub run: fn(&[u8]),
    /// How many inputs the tests throw: a few seconds' worth in a debug build.
    pub cases: u32,
}

/// All of them.
pub const ALL: &[Target] = &[
    POLICY,
    WIRE,
    NOTE,
    CHECKPOINT,
    TILE,
    PROOF,
    PROPOSAL,
    STARTUP,
    SESSION,
    STATEMENT,
    SSH_WIRE,
    SSH_TRANSPORT,
    SSH_KEY,
    SSH_FILES,
    SSH_SESSION,
];

/// A policy's text: read, compiled, its own tests run, and asked for everything in it.
pub const POLICY: Target = Target {
    name: "policy",
    run: policy::policy,
    cases: 600,
};
/// A JSON body or query of the API, as every type that a request has.
pub const WIRE: Target = Target {
    name: "wire",
    run: wire::wire,
    cases: 6_000,
};
/// A signed note, and a key that it may be by.
pub const NOTE: Target = Target {
    name: "note",
    run: log::note,
    cases: 10_000,
};
/// A checkpoint's text.
pub const CHECKPOINT: Target = Target {
    name: "checkpoint",
    run: log::checkpoint,
    cases: 10_000,
};
/// A tile's path, and behind its first line break the tile.
pub const TILE: Target = Target {
    name: "tile",
    run: log::tile,
    cases: 10_000,
};
/// Two numbers, two heads and a proof.
pub const PROOF: Target = Target {
    name: "proof",
    run: log::proof,
    cases: 10_000,
};
/// What a witness is asked to sign.
pub const PROPOSAL: Target = Target {
    name: "proposal",
    run: log::proposal,
    cases: 10_000,
};
/// What a client of PostgreSQL says first, without its length.
pub const STARTUP: Target = Target {
    name: "startup",
    run: gateway::startup,
    cases: 10_000,
};
/// Both directions of a session with PostgreSQL, in pieces: each begins with a byte that says whose (the lowest bit) and how long.
pub const SESSION: Target = Target {
    name: "session",
    run: gateway::session,
    cases: 4_000,
};
/// A statement: its tokens, what is recorded of it, and what guardrails say.
pub const STATEMENT: Target = Target {
    name: "statement",
    run: gateway::statement,
    cases: 1_500,
};
/// Numbers and strings as SSH writes them.
pub const SSH_WIRE: Target = Target {
    name: "ssh_wire",
    run: gateway::ssh_wire,
    cases: 10_000,
};
/// A connection of SSH that begins, or whose keys are agreed on: pieces, each behind a byte that says what it is and two that say how long.
pub const SSH_TRANSPORT: Target = Target {
    name: "ssh_transport",
    run: gateway::ssh_transport,
    cases: 1_500,
};
/// A key or certificate of SSH, a signature, and what it would be of.
pub const SSH_KEY: Target = Target {
    name: "ssh_key",
    run: gateway::ssh_key,
    cases: 4_000,
};
/// Both directions of SFTP, in pieces: each behind a byte that says whose (the lowest bit) and two that say how long.
pub const SSH_FILES: Target = Target {
    name: "ssh_files",
    run: gateway::ssh_files,
    cases: 6_000,
};
/// Both directions of a session of SSH behind a byte that says what is allowed: messages as pieces of `ssh_files` are.
pub const SSH_SESSION: Target = Target {
    name: "ssh_session",
    run: gateway::ssh_session,
    cases: 6_000,
};
