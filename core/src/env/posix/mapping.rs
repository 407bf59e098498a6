//! A shared mapping of a file's front, for the log's stores. Linux only: there a sync of the file covers them.

#![allow(unsafe_code)] // The mapping is raw memory.

use crate::env::Mapping;
use std::io;

/// Maps the first `len` bytes. Requires: `len` > 0, and the file's space is reserved that far. `None` where not offered.
#[cfg(not(target_os = "linux"))]
pub(super) fn map(_file: &std::fs::File, _len: u64) -> io::Result<Option<Box<dyn Mapping>>> {
    Ok(None)
}

/// Maps the first `len` bytes. Requires: `len` > 0, and the file's space is reserved that far. `None` where not offered.
#[cfg(target_os = "linux")]
pub(super) fn map(file: &std::fs::File, len: u64) -> io::Result<Option<Box<dyn Mapping>>> {
    use std::os::fd::AsRawFd;
    let Ok(len) = usize::try_from(len) else { return Ok(None) };
    // SAFETY: a new mapping at an address of the kernel's choice; the descriptor is open for as long as `file` is borrowed.
    let address = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    if address == libc::MAP_FAILED {
        let cause = io::Error::last_os_error();
        // ENODEV: a file system without mappings. ENOMEM, EACCES and the rest are for the caller to see.
        return if cause.raw_os_error() == Some(libc::ENODEV) { Ok(None) } else { Err(cause) };
    }
    Ok(Some(Box::new(linux::SharedMapping::new(address.cast(), len))))
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Mapping;
    use crate::error::{Error, ErrorKind, Result};
    use std::io;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// `len` mapped bytes at `address`, unmapped when dropped.
    pub(super) struct SharedMapping {
        address: *mut u8,
        len: usize,
    }

    // SAFETY: the memory belongs to no thread, and only `store` and `populate` touch it, whose contracts keep threads apart.
    unsafe impl Send for SharedMapping {}
    // SAFETY: as above.
    unsafe impl Sync for SharedMapping {}

    impl SharedMapping {
        pub(super) fn new(address: *mut u8, len: usize) -> Self {
            Self { address, len }
        }

        fn start_of(&self, offset: u64, len: u64) -> usize {
            let end = offset.checked_add(len);
            assert!(end.is_some_and(|end| end <= self.len as u64), "a range outside of the mapping");
            offset as usize
        }

        /// Touches one byte of each page so that it is present and writable, without changing what it holds.
        fn touch(&self, start: usize, len: usize, page: usize) {
            let mut at = start;
            while at < start + len {
                // SAFETY: `at` lies in the mapping (asserted by the caller) and bytes are always aligned. The exchange is one
                // atomic step of the hardware, so a store by another thread is never undone.
                let byte = unsafe { AtomicU8::from_ptr(self.address.add(at)) };
                let seen = byte.load(Ordering::Relaxed);
                let _ = byte.compare_exchange(seen, seen, Ordering::AcqRel, Ordering::Relaxed);
                at = (at / page + 1) * page;
            }
        }
    }

    impl Mapping for SharedMapping {
        fn store(&self, offset: u64, bytes: &[u8]) {
            let start = self.start_of(offset, bytes.len() as u64);
            // SAFETY: the range lies in the mapping (just asserted), whose file space is reserved, so the store cannot fault
            // for want of a block; `bytes` is a Rust slice and no slice of the mapping is ever handed out.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.address.add(start), bytes.len()) };
        }

        fn populate(&self, offset: u64, len: u64) -> Result<()> {
            let start = self.start_of(offset, len);
            if len == 0 {
                return Ok(());
            }
            let len = len as usize;
            let page = page_bytes();
            let first = start / page * page;
            loop {
                // SAFETY: the range lies in the mapping up to its last page, and this advice changes no contents.
                let code = unsafe {
                    let address = self.address.add(first).cast();
                    libc::madvise(address, start + len - first, libc::MADV_POPULATE_WRITE)
                };
                if code == 0 {
                    return Ok(());
                }
                let cause = io::Error::last_os_error();
                match cause.raw_os_error() {
                    Some(libc::EINTR | libc::EAGAIN) => {}
                    // Kernels before 5.14 do not know the advice.
                    Some(libc::EINVAL) => {
                        self.touch(start, len, page);
                        return Ok(());
                    }
                    Some(libc::ENOMEM) => {
                        return Err(Error::new(ErrorKind::NoMemory, "no memory to populate a mapping"));
                    }
                    _ => return Err(Error::new(ErrorKind::Io, format!("populating a mapping failed: {cause}"))),
                }
            }
        }
    }

    impl Drop for SharedMapping {
        fn drop(&mut self) {
            // SAFETY: address and length are those of the mapping, which nobody else unmaps.
            unsafe { libc::munmap(self.address.cast(), self.len) };
        }
    }

    fn page_bytes() -> usize {
        // SAFETY: no memory is involved.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(bytes).unwrap_or(4096)
    }
}
