//! One test for each interleaving that has a rule of its own.
