//! A gateway between real clients and a real PostgreSQL or sshd; whoever decides is [`control::Judge`], which the tests tell what to do.
#![cfg(test)]

mod clients;
mod control;
mod hostile;
mod life;
mod portals;
mod postgres;
mod raw;
mod records;
mod ssh;
mod ssh_files;
mod ssh_hostile;
mod ssh_many;
mod ssh_turns;
mod ssh_world;
mod target;
mod world;
