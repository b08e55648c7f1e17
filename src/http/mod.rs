//! One HTTP client for both sides: credentials bound to an origin, limits, retries, counting.
