//! The formats of the log, held against their definitions, published vectors, and what others wrote for them.

#![cfg(test)]

mod checkpoint;
mod forest;
mod note;
mod proof;
mod succession;
mod tile;
mod witness;
