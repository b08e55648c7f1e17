//! What plans say, resource by resource.

mod application;
mod assisted;
mod connection;
mod destroy;
mod memberships;
mod repositories;
mod user;
mod whole;
