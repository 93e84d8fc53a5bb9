//! The transparency log: RFC 6962 tree, proofs and their verification. Pure.
