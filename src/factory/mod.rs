//! Factory's side behind one pair of traits, so that its own endpoints, once published, are one new file.
