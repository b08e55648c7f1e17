//! The plain vocabulary that all other modules speak: no I/O, no async, no clock.
