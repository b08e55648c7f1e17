//! What plans say, resource by resource.

mod adoption;
mod application;
mod assisted;
mod connection;
mod destroy;
mod memberships;
mod repositories;
mod user;
mod whole;
