//! Azure against a stand-in of it: the suite for each kind of resource, then what is particular to each.

mod bench;
mod group;
mod identity;
mod jit;
mod pim;
mod ports;
mod rights;
mod role;
mod survey;
mod survey_ports;
mod told;
