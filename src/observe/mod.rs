//! Reads both sides at once into what is observed, with no more requests than the answer needs.
