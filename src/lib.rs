//! Setpoint keeps one integration in order: a self-hosted GitLab connected to Factory.
//!
//! The way of the data is the way through the modules, and it never turns back: [`config`] reads the file into
//! what is desired, [`observe`] reads both sides into what is, [`state`] holds what was recorded, [`planner`]
//! compares the three into a plan, [`render`] shows that plan and [`executor`] carries it out.

mod app;
mod certificates;
pub mod cli;
pub mod config;
mod digest;
pub mod doctor;
pub mod executor;
pub mod factory;
mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod gitlab;
mod glyphs;
pub mod http;
pub mod notify;
pub mod observe;
pub mod planfile;
pub mod render;
pub mod secrets;
pub mod state;
#[cfg(test)]
mod testing;
mod urls;

pub use setpoint_core::{diff, kinds, model, planner};
#[cfg(feature = "sandbox")]
pub use setpoint_sandbox as sandbox;
