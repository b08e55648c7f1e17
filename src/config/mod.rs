//! From text to what is desired, or to all the faults of the text with their places.
