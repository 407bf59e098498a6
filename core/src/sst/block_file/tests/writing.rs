//! The write stage: the same file whoever runs the task, and errors that end it.

use super::*;
use crate::env::FileSystem;
use crate::env::executor::SeededRuntime;
use crate::env::fault::{Effect, FaultFileSystem, Rule, is_injected};
use crate::env::mem::MemFileSystem;
use crate::env::strict::StrictFileSystem;
use crate::env::{Bell, Call, Next, Task, read_file};
use crate::error::Result;
use crate::lock::Mutex;

const ENTRIES: u64 = 6000;

/// Writes some 6 MiB, enough for every buffer to come round again.
fn write_some(env: &Env, path: &Path) -> Result<SstSummary> {
    let mut writer = SstWriter::create(env, path, identity(5), SstOptions::default())?;
    for number in 0..ENTRIES {
        let value = [number as u8; 1000];
        writer.add(Entry { key: &number.to_be_bytes(), sequence: number + 1, kind: Kind::Put, value: &value })?;
    }
    writer.finish()
}

fn seeded(seed: u64) -> (Env, Arc<FaultFileSystem>) {
    let files = FaultFileSystem::new(StrictFileSystem::new(MemFileSystem::new()), Vec::new());
    files.create_dir(Path::new("/db")).unwrap();
    (Env { files: files.clone(), runtime: SeededRuntime::new(seed) }, files)
}

#[test]
fn the_file_is_the_same_however_its_writes_are_scheduled() {
    let path = Path::new("/db/000005.sst");
    let mut first: Option<Vec<u8>> = None;
    for seed in 0..12 {
        let (env, files) = seeded(seed);
        let summary = write_some(&env, path).unwrap();
        assert!(files.count(Call::Write) > 5, "several buffers were written");
        let bytes = read_file(&*env.files, path, 1 << 30).unwrap();
        assert_eq!(bytes.len() as u64, summary.size_bytes);
        assert_eq!(*first.get_or_insert_with(|| bytes.clone()), bytes, "seed {seed}");
        let reader = open(&env, path, 1 << 20).unwrap();
        reader.verify().unwrap();
        assert_eq!(reader.checksum(), summary.checksum);
    }
}

#[test]
fn a_writer_inside_a_task_writes_by_itself() {
    struct Job(Env, Arc<Mutex<Option<Result<SstSummary>>>>);
    impl Task for Job {
        fn step(&mut self) -> Next {
            *self.1.lock() = Some(write_some(&self.0, Path::new("/db/000005.sst")));
            Next::Done
        }
    }
    let (env, _) = seeded(1);
    let done = Arc::new(Mutex::new(None));
    let handle = env.runtime.spawn("job", Arc::new(Bell::new()), Box::new(Job(env.clone(), done.clone()))).unwrap();
    handle.join();
    assert_eq!(done.lock().take().unwrap().unwrap().entries, ENTRIES);
}

#[test]
fn a_failed_write_or_sync_fails_the_writer_and_removes_the_file() {
    let path = Path::new("/db/000005.sst");
    let writes = {
        let (env, files) = seeded(3);
        write_some(&env, path).unwrap();
        files.count(Call::Write)
    };
    for (call, calls) in [(Call::Write, writes), (Call::SyncData, 1), (Call::Create, 1)] {
        for skip in 0..calls {
            for effect in [Effect::Error(libc::EIO), Effect::ShortWrite(100, libc::ENOSPC)] {
                let (env, files) = seeded(skip);
                files.add(Rule::once(call, effect).after(skip));
                let error = write_some(&env, path).expect_err("the error reaches the caller");
                assert!(is_injected(&error) || error.os_code().is_some(), "{error}");
                assert_eq!(env.files.file_len(path).unwrap(), None, "{call:?} {skip}: the file is gone");
            }
        }
    }
}
