//! Use cases and the reconciler on a store in memory, a target in memory and a clock that the test turns.

#![cfg(test)]

mod access;
mod below;
mod break_glass;
mod bundles;
mod changes;
mod conditions;
mod deeds;
mod delegations;
mod demands;
mod edits;
mod end_when;
mod environments;
mod faults;
mod given;
mod hands;
mod house;
mod inventory;
mod limits;
mod locks;
mod maximum;
mod near;
mod notices;
mod only_take_away;
mod open;
mod outage;
mod people;
mod policies;
mod reviews;
mod services;
mod sessions;
mod shared;
mod windows;
