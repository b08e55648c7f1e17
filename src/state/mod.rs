//! The record of what was applied, its lock, and the journal.
