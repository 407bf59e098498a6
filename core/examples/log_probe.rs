//! Measures what one durable log record costs on a disk, so that the shape of the log is decided by figures.
//!
//! `cargo run --release --example log_probe -- <directory on the disk in question>`
//!
//! Each cell stores 136 bytes and calls fdatasync, 300 times, into a file of its own that is
//! - `fresh`: empty, and grows with each record,
//! - `fallocated`: reserved in full beforehand, never written,
//! - `recycled`: written in full and synced beforehand, so that every record overwrites;
//!
//! by `pwrite`, or by a store through a shared mapping. It prints the median and the 99th percentile in microseconds.
#![allow(unsafe_code)] // It measures system calls that the standard library does not offer.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

const ROUNDS: usize = 300;
const RECORD_BYTES: usize = 136;
const FILE_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq)]
enum Preparation {
    Fresh,
    Fallocated,
    Recycled,
}

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_string());
    let directory = Path::new(&directory).join(format!("log-probe-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    println!("{:<12}{:>14}{:>14}{:>14}{:>14}", "us", "pwrite p50", "p99", "store p50", "p99");
    let rows =
        [("fresh", Preparation::Fresh), ("fallocated", Preparation::Fallocated), ("recycled", Preparation::Recycled)];
    for (name, preparation) in rows {
        let (write_median, write_tail) = measure(&directory, preparation, false)?;
        let (store_median, store_tail) = measure(&directory, preparation, true)?;
        println!("{name:<12}{write_median:>14.1}{write_tail:>14.1}{store_median:>14.1}{store_tail:>14.1}");
    }
    std::fs::remove_dir_all(&directory)
}

/// The median and the 99th percentile of one cell, in microseconds.
fn measure(directory: &Path, preparation: Preparation, mapped: bool) -> io::Result<(f64, f64)> {
    let path = directory.join("segment");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    match preparation {
        Preparation::Fresh => {}
        Preparation::Fallocated => allocate(&file)?,
        Preparation::Recycled => file.write_all_at(&vec![0xa5; FILE_BYTES], 0)?,
    }
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    let map = if mapped { map(&file)? } else { std::ptr::null_mut() };
    let record = [0x5a; RECORD_BYTES];
    let mut micros = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let offset = round * RECORD_BYTES;
        let start = Instant::now();
        if mapped {
            if preparation == Preparation::Fresh {
                file.set_len((offset + RECORD_BYTES) as u64)?;
            }
            // SAFETY: the mapping is FILE_BYTES long, the range lies within the file's present length, nobody else uses it.
            unsafe { std::ptr::copy_nonoverlapping(record.as_ptr(), map.add(offset), RECORD_BYTES) };
        } else {
            file.write_all_at(&record, offset as u64)?;
        }
        file.sync_data()?;
        micros.push(start.elapsed().as_nanos() as f64 / 1000.0);
    }
    if mapped {
        // SAFETY: `map` is the mapping of this length made above, and is not used after this.
        unsafe { libc::munmap(map.cast(), FILE_BYTES) };
    }
    std::fs::remove_file(&path)?;
    micros.sort_by(f64::total_cmp);
    Ok((micros[ROUNDS / 2], micros[ROUNDS * 99 / 100]))
}

fn allocate(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for writing; no memory is passed.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, FILE_BYTES as libc::off_t) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

fn map(file: &File) -> io::Result<*mut u8> {
    // SAFETY: a new shared mapping at an address of the kernel's choice touches no memory of ours.
    let map = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            FILE_BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if map == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(map.cast()) }
}
