//! Tests of the real world against the contracts in `env`.

#![allow(unsafe_code)] // fork, for the tests of what a child may do.

use super::*;
use crate::env::{Bell, Next, Task};
use std::time::Duration;

#[test]
fn files_read_back_and_end_where_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let env = posix();
    let path = dir.path().join("a");
    let file = env.files.create(&path).unwrap();
    file.write_at(b"hello world", 3).unwrap();
    let mut buffer = [9; 20];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 14);
    assert_eq!(&buffer[..14], b"\0\0\0hello world");
    assert_eq!(file.read_at(&mut buffer, 14).unwrap(), 0);
    file.set_len(5).unwrap();
    file.sync_data().unwrap();
    assert_eq!(env.files.file_len(&path).unwrap(), Some(5));
    assert_eq!(env.files.file_len(&dir.path().join("b")).unwrap(), None);
    let taken = env.files.create(&path).err().unwrap();
    assert_eq!((taken.kind(), taken.os_code()), (ErrorKind::Io, Some(libc::EEXIST)));
    assert_eq!(env.files.open(&dir.path().join("b")).err().unwrap().kind(), ErrorKind::NotFound);
    // Opened for reading only.
    assert!(env.files.open(&path).unwrap().write_at(b"x", 0).is_err());
}

#[test]
fn names_come_and_go() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let env = posix();
    let deep = dir.path().join("x/y/z");
    assert!(env.files.create_dir(&deep).unwrap());
    assert!(!env.files.create_dir(&deep).unwrap());
    assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
    env.files.create(&deep.join("b")).unwrap();
    env.files.create(&deep.join("a")).unwrap();
    assert_eq!(fs::metadata(deep.join("a")).unwrap().permissions().mode() & 0o777, 0o600);
    env.files.link(&deep.join("a"), &deep.join("c")).unwrap();
    assert!(env.files.link(&deep.join("a"), &deep.join("b")).is_err());
    env.files.rename(&deep.join("a"), &deep.join("b")).unwrap();
    env.files.sync_dir(&deep).unwrap();
    // Renaming one name of an inode over another name of it would do nothing; a and b were different files.
    assert_eq!(env.files.list(&deep).unwrap(), ["b", "c"]);
    env.files.remove(&deep.join("b")).unwrap();
    assert!(env.files.remove_dir(&deep).is_err());
    env.files.remove(&deep.join("c")).unwrap();
    env.files.remove_dir(&deep).unwrap();
    assert_eq!(env.files.list(&deep).err().unwrap().kind(), ErrorKind::NotFound);
    assert!(env.files.free_bytes(dir.path()).unwrap() > 0);
}

#[test]
fn a_mapping_is_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let env = posix();
    let file = env.files.create(&dir.path().join("log")).unwrap();
    assert!(file.map(8192).unwrap().is_none(), "nothing is reserved yet");
    file.allocate(3 * 65536).unwrap();
    assert_eq!(file.len().unwrap(), 3 * 65536);
    file.start_writeback(0, 65536);
    let Some(mapping) = file.map(3 * 65536).unwrap() else {
        return; // A file system that cannot reserve.
    };
    mapping.populate(100, 2 * 65536).unwrap();
    mapping.store(65530, b"across pages");
    file.sync_data().unwrap();
    let mut buffer = [0; 12];
    file.read_at(&mut buffer, 65530).unwrap();
    assert_eq!(&buffer, b"across pages");
    let outside = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| mapping.store(3 * 65536 - 1, b"xx")));
    assert!(outside.is_err());
}

#[test]
fn a_second_opener_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let env = posix();
    let path = dir.path().join("LOCK");
    let held = env.files.lock(&path).unwrap();
    assert_eq!(env.files.lock(&path).err().unwrap().kind(), ErrorKind::Locked);
    assert_eq!(posix().files.lock(&path).err().unwrap().kind(), ErrorKind::Locked);
    drop(held);
    let held = env.files.lock(&path).unwrap();
    drop(held);
    std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
    assert_eq!(env.files.lock(&dir.path().join("link")).err().unwrap().os_code(), Some(libc::ELOOP));
}

/// Runs `check` in a forked child and returns its answer.
fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs only code that takes no lock another thread of the test could hold, and leaves by _exit.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let code = if check() { 0 } else { 1 };
            libc::_exit(code);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

#[test]
fn a_forked_child_knows_and_cannot_take_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let env = posix();
    let path = dir.path().join("LOCK");
    let held = env.files.lock(&path).unwrap();
    assert!(!env.runtime.forked());
    assert!(in_child(|| {
        let child_env = posix();
        env.runtime.forked()
            && !child_env.runtime.forked()
            && child_env.files.lock(&path).is_err_and(|error| error.kind() == ErrorKind::Locked)
    }));
    // A child that drops its copy of the lock does not unlock its parent's.
    let mut held = Some(held);
    assert!(in_child(|| {
        held.take();
        true
    }));
    assert!(in_child(|| env.files.lock(&path).is_err()));
    // Released by the parent, the child may have it, although the parent's entry was copied into its table.
    drop(held);
    assert!(in_child(|| env.files.lock(&path).is_ok()));
    assert!(!env.runtime.forked());
}

/// Counts its steps up to a limit, waiting for its bell in between.
struct Counter {
    steps: Arc<std::sync::atomic::AtomicU64>,
    rung: Arc<Bell>,
    limit: u64,
}

impl Task for Counter {
    fn step(&mut self) -> Next {
        let steps = self.steps.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        self.rung.ring();
        if steps == self.limit { Next::Done } else { Next::Wait(None) }
    }
}

#[test]
fn a_task_steps_when_its_bell_rings() {
    let env = posix();
    let (bell, rung) = (Arc::new(Bell::new()), Arc::new(Bell::new()));
    let steps = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let task = Box::new(Counter { steps: steps.clone(), rung: rung.clone(), limit: 50 });
    let handle = env.runtime.spawn("counter", bell.clone(), task).unwrap();
    for wanted in 1..=50 {
        loop {
            let seen = rung.count();
            if steps.load(std::sync::atomic::Ordering::SeqCst) >= wanted {
                break;
            }
            env.runtime.wait(&rung, seen, Some(Duration::from_secs(10)));
        }
        bell.ring();
    }
    handle.join();
    assert!(handle.is_done());
    handle.join();
    assert_eq!(steps.load(std::sync::atomic::Ordering::SeqCst), 50);
    assert!(!env.runtime.wait(&bell, bell.count(), Some(Duration::from_millis(5))));
    assert!(env.runtime.spawn("a name that is too long", bell, Box::new(Counter { steps, rung, limit: 1 })).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_task_thread_blocks_the_hosts_signals() {
    struct Mask(Arc<Mutex<String>>);
    impl Task for Mask {
        fn step(&mut self) -> Next {
            *self.0.lock() = fs::read_to_string("/proc/thread-self/status").unwrap();
            Next::Done
        }
    }
    use crate::lock::Mutex;
    let env = posix();
    let status = Arc::new(Mutex::new(String::new()));
    env.runtime.spawn("mask", Arc::new(Bell::new()), Box::new(Mask(status.clone()))).unwrap().join();
    let text = status.lock();
    let mask = text.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim();
    let mask = u64::from_str_radix(mask, 16).unwrap();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGCHLD, libc::SIGPROF, libc::SIGALRM] {
        assert_ne!(mask & (1 << (signal - 1)), 0, "signal {signal} is not blocked");
    }
    assert!(text.contains("Name:\tmask"));
}
