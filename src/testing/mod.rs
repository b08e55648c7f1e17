//! One GitLab and one Factory in memory for every test that needs both sides without a socket.
//!
//! What "cut off anywhere, converges" says is worth nothing of a look-alike, so the world has no way of its own to
//! carry a plan out: it implements the traits that the observer reads through and the executor writes through, and
//! stands in at each of their calls to count, refuse, lose an answer or end the process there.

mod execution;
mod factory;
mod faults;
mod gitlab;
mod properties;
mod world;

pub(crate) use execution::{How, in_turn};
pub(crate) use faults::{Fault, at};
pub(crate) use world::{ADMIN, Sides, World};
