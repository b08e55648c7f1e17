//! Walks a plan in dependency order and takes no decision that the plan has not taken.
