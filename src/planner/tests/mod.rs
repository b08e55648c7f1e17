//! What plans say, resource by resource.

mod whole;
