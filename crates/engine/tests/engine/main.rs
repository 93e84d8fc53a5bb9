//! Use cases and the reconciler on a store in memory, a target in memory and a clock that the test turns.

#![cfg(test)]

mod access;
mod break_glass;
mod conditions;
mod demands;
mod faults;
mod house;
mod locks;
mod notices;
mod outage;
mod people;
mod policies;
mod reviews;
mod shared;
mod windows;
