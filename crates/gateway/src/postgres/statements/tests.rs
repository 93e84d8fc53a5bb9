//! Answers find what they are about.
