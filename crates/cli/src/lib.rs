//! The client commands of `daypass`.
