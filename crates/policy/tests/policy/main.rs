//! The policy crate from outside: what is read, what is refused and how it is told, what is decided.

#[cfg(test)]
mod break_glass;
#[cfg(test)]
mod conditions;
#[cfg(test)]
mod control;
#[cfg(test)]
mod decide;
#[cfg(test)]
mod delegation;
#[cfg(test)]
mod demands;
#[cfg(test)]
mod diagnostics;
#[cfg(test)]
mod end_when;
#[cfg(test)]
mod environments;
#[cfg(test)]
mod example;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hands;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod near;
#[cfg(test)]
mod offered;
#[cfg(test)]
mod office;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod propose;
#[cfg(test)]
mod review;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod services;
#[cfg(test)]
mod vacancy;
#[cfg(test)]
mod whole;
