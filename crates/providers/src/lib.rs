//! What Daypass provisions on: the `Provider` trait, its conformance suite, one folder per target kind.
