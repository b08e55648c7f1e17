//! Setpoint's words and decisions, with nothing to act by: [`model`] is what all parts speak in, [`planner`] compares
//! what is desired, observed and recorded into a plan.
//!
//! A crate of its own, so that the compiler keeps it pure: among what it depends on is no runtime and no client, and
//! it may ask no clock.

pub mod model;
pub mod planner;
