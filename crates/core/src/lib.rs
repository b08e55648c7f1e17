//! Setpoint's words and decisions, with nothing to act by: [`model`] is what all parts speak in, [`kinds`] says of each
//! kind of resource what it is, in one place for each, [`diff`] is the comparison that they share, and [`planner`] makes
//! one plan of what they find.
//!
//! A crate of its own, so that the compiler keeps it pure: among what it depends on is no runtime and no client, and
//! it may ask no clock.

pub mod diff;
pub mod kinds;
pub mod model;
pub mod planner;
mod planning;
