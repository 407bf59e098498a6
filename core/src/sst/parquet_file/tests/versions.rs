//! Tests: versions.
