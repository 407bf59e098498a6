//! The cache of blocks.
