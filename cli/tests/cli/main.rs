//! The `sstore` command as people and scripts run it: over databases made here, sound, damaged, and beside their writer.

mod world;

mod beside;
mod damaged;
mod import;
mod looking;
mod terminal;
