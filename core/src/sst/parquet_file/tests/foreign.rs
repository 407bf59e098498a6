//! Tests: foreign.
