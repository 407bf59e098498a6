//! What an opening finds after a power cut, a kill or damage, and what it makes of it: every commit that was synced, or an error that
//! names the file.
//!
//! A module for each question; docs/testing.md says what each is for.

#[path = "../profile/mod.rs"]
mod profile;
#[path = "../silent/mod.rs"]
mod silent;

mod broken_files;
mod crash;
mod damage;
mod log_archive;
mod log_end;
mod log_recovery;
mod repair;
