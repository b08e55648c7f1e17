//! One HTTP client for both sides: credentials bound to an origin, limits, retries, counting.

mod error;

pub use error::{Error, ErrorKind, Result, Side};
