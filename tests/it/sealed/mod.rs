//! It is sealed: no secret in any output, file, argument or environment that has no need of it; no credential at
//! another place than its own; no file written through a link; nothing that a server says acts on who reads it.

mod bounds;
pub(crate) mod canary;
mod children;
mod errors;
#[cfg(unix)]
mod files;
mod hostile;
mod origins;
mod outputs;
#[cfg(unix)]
mod private;
mod repeated;
mod rights;
