//! The pure heart: what is desired, observed and recorded go in, a plan comes out.
