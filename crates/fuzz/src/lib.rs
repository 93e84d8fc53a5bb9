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
    POLICY, WIRE, NOTE, CHECKPOINT, TILE, PROOF, PROPOSAL, STARTUP, SESSION, STATEMENT,
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
