//! What each kind of resource plans with, below all of them: the arguments with the questions that several ask of them, the
//! plan in the making, and what a finished plan says of an address.

pub(crate) mod builder;
mod inputs;
mod settled;

pub(crate) use builder::PlanBuilder;
pub(crate) use inputs::Inputs;
pub(crate) use settled::Settled;
