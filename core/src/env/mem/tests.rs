//! Tests of what is durable, what a power cut may leave, and how images are kept.

use super::crash::*;
use super::*;

fn path(name: &str) -> PathBuf {
    PathBuf::from("/db").join(name)
}

fn bytes(files: &MemFileSystem, name: &str) -> Option<Vec<u8>> {
    files.file_len(&path(name)).unwrap()?;
    Some(crate::env::read_file(files, &path(name), 1 << 20).unwrap())
}

/// A file `a` of "old" that is durable with its name.
fn start() -> (Arc<MemFileSystem>, Arc<dyn File>) {
    let files = MemFileSystem::new();
    assert!(files.create_dir(&path("")).unwrap());
    files.sync_dir(Path::new("/")).unwrap();
    let file = files.create(&path("a")).unwrap();
    file.write_at(b"old", 0).unwrap();
    file.sync_data().unwrap();
    files.sync_dir(&path("")).unwrap();
    (files, file)
}

#[test]
fn a_sync_makes_bytes_durable_but_not_names() {
    let (files, _file) = start();
    let file = files.create(&path("b")).unwrap();
    file.write_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    let left = files.crash_clone(&mut AllLost);
    assert_eq!(left.list(&path("")).unwrap(), ["a"]);
    files.sync_dir(&path("")).unwrap();
    assert_eq!(bytes(&files.crash_clone(&mut AllLost), "b").unwrap(), b"new");
    files.remove(&path("a")).unwrap();
    assert_eq!(files.unsynced_dir_ops(), 1);
    assert_eq!(bytes(&files.crash_clone(&mut AllLost), "a").unwrap(), b"old");
    assert_eq!(bytes(&files.crash_clone(&mut AllKept), "a"), None);
    assert_eq!(_file.len().unwrap(), 3, "an open file outlives its name");
}

#[test]
fn each_choice_leaves_what_it_says() {
    let (files, file) = start();
    file.write_at(b"NEW", 0).unwrap();
    file.write_at(b"tail", 3).unwrap();
    assert_eq!(files.unsynced_writes(), 2);
    let after = |choice: &mut dyn CrashChoice| bytes(&files.crash_clone(choice), "a").unwrap();
    assert_eq!(after(&mut AllLost), b"old");
    assert_eq!(after(&mut AllKept), b"NEWtail");
    assert_eq!(after(&mut Zeroed), b"old\0\0\0\0");
    assert_eq!(after(&mut TornLast(2)), b"NEWta");
    assert_eq!(after(&mut LoseOne(0)), b"oldtail");
    assert_eq!(after(&mut KeepOne(0)), b"NEW");
    let torn: BTreeSet<Vec<u8>> = (0..200).map(|seed| after(&mut Torn(seed))).collect();
    assert_eq!(torn.len(), 8, "every byte is a place to tear: {torn:?}");
    let sectors: BTreeSet<Vec<u8>> = (0..50).map(|seed| after(&mut RandomSectors(seed))).collect();
    // One sector holds them all, so it is as it was after none, one or both writes.
    assert_eq!(sectors, [&b"old"[..], b"NEW", b"NEWtail"].map(|bytes| bytes.to_vec()).into());
    file.sync_data().unwrap();
    assert_eq!(bytes(&files.crash_clone(&mut AllLost), "a").unwrap(), b"NEWtail");
}

#[test]
fn stores_are_lost_by_pages_and_never_lengthen() {
    let (files, file) = start();
    file.allocate(3 * 4096).unwrap();
    let mapping = file.map(3 * 4096).unwrap().unwrap();
    assert!(file.map(3 * 4096 + 1).unwrap().is_none());
    mapping.store(4096 - 3, b"123456");
    assert_eq!(bytes(&files.crash_clone(&mut AllLost), "a").unwrap().len(), 3);
    file.sync_data().unwrap();
    mapping.store(4096 - 3, b"abcdef");
    let seen: BTreeSet<Vec<u8>> = (0..50)
        .map(|seed| bytes(&files.crash_clone(&mut RandomPages(seed)), "a").unwrap()[4093..4099].to_vec())
        .collect();
    assert_eq!(seen, [b"123456", b"abc456", b"123def", b"abcdef"].map(|bytes| bytes.to_vec()).into());
    let files_before = files.crash_clone(&mut KeepOne(0));
    assert_eq!(&bytes(&files_before, "a").unwrap()[4093..4099], b"abcdef");
    file.set_len(10).unwrap();
    file.set_len(5000).unwrap();
    assert!(bytes(&files, "a").unwrap()[10..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_rename_may_leave_old_new_or_both() {
    let (files, _) = start();
    let file = files.create(&path("tmp")).unwrap();
    file.write_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    files.sync_dir(&path("")).unwrap();
    files.rename(&path("tmp"), &path("a")).unwrap();
    files.create(&path("c")).unwrap();
    let after = |bits, both| files.crash_clone(&mut Combined { data: AllLost, entries: DirSubset { bits, both } });
    assert_eq!(after(0b00, false).list(&path("")).unwrap(), ["a", "tmp"]);
    assert_eq!(bytes(&after(0b00, false), "a").unwrap(), b"old");
    assert_eq!(after(0b01, false).list(&path("")).unwrap(), ["a"]);
    assert_eq!(bytes(&after(0b01, false), "a").unwrap(), b"new");
    assert_eq!(after(0b10, false).list(&path("")).unwrap(), ["a", "c", "tmp"]);
    assert_eq!(after(0b11, true).list(&path("")).unwrap(), ["a", "c", "tmp"]);
    assert_eq!(bytes(&after(0b11, true), "tmp").unwrap(), b"new");
    // Into another directory: syncing either makes both sides durable.
    files.create_dir(&path("wal")).unwrap();
    files.sync_dir(&path("")).unwrap();
    files.rename(&path("a"), &path("wal/b")).unwrap();
    files.sync_dir(&path("wal")).unwrap();
    let left = files.crash_clone(&mut AllLost);
    assert_eq!((bytes(&left, "a"), bytes(&left, "wal/b").unwrap()), (None, b"new".to_vec()));
}

#[test]
fn a_directory_is_renamed_with_what_is_in_it() {
    let (files, _) = start();
    files.create_dir(&path("d.tmp")).unwrap();
    let file = files.create(&path("d.tmp/data")).unwrap();
    file.write_at(b"rows", 0).unwrap();
    file.sync_data().unwrap();
    files.sync_dir(&path("d.tmp")).unwrap();
    files.sync_dir(&path("")).unwrap();
    files.rename(&path("d.tmp"), &path("d")).unwrap();
    assert_eq!(bytes(&files, "d/data").unwrap(), b"rows");
    let after = |bits, both| files.crash_clone(&mut Combined { data: AllLost, entries: DirSubset { bits, both } });
    assert_eq!(after(0, false).list(&path("")).unwrap(), ["a", "d.tmp"]);
    for both in [false, true] {
        assert_eq!(after(1, both).list(&path("")).unwrap(), ["a", "d"], "a directory never has two names");
        assert_eq!(bytes(&after(1, both), "d/data").unwrap(), b"rows");
    }
    files.create_dir(&path("other")).unwrap();
    let code = |from: &str, to: &str| files.rename(&path(from), &path(to)).unwrap_err().os_code();
    assert_eq!(code("other", "d"), Some(libc::ENOTEMPTY));
    assert_eq!(code("other", "other/inner"), Some(libc::EINVAL));
    assert_eq!(code("a", "other"), Some(libc::EISDIR));
    assert_eq!(code("other", "a"), Some(libc::ENOTDIR));
    files.rename(&path("d"), &path("other")).unwrap();
    assert_eq!(files.list(&path("other")).unwrap(), ["data"]);
}

#[test]
fn images_show_every_moment() {
    let (files, file) = start();
    files.record_images();
    let first = files.op_count();
    file.write_at(b"1", 0).unwrap();
    file.write_at(b"2", 1).unwrap();
    file.sync_data().unwrap();
    let images = files.take_images();
    let calls: Vec<_> = images.iter().map(|image| (image.op - first, image.call)).collect();
    assert_eq!(calls, [(0, Call::Write), (1, Call::Write), (2, Call::SyncData)]);
    assert_eq!(bytes(&images[0].image, "a").unwrap(), b"old");
    assert_eq!(bytes(&images[1].image, "a").unwrap(), b"1ld");
    assert_eq!(bytes(&images[2].image, "a").unwrap(), b"12d");
    assert_eq!(bytes(&images[2].image.crash_clone(&mut AllLost), "a").unwrap(), b"old");
    assert_eq!(images[2].image.fingerprint(), files.fingerprint());
    assert_ne!(images[1].image.fingerprint(), files.fingerprint());
    files.stop_after(Some(files.op_count() + 1));
    file.write_at(b"3", 2).unwrap();
    assert_eq!(file.sync_data().err().unwrap().os_code(), Some(libc::EIO));
    assert_eq!(bytes(&files.crash_clone(&mut AllLost), "a").unwrap(), b"12d");
}

#[test]
fn locks_limits_and_refusals() {
    let (files, file) = start();
    let held = files.lock(&path("LOCK")).unwrap();
    assert_eq!(files.lock(&path("LOCK")).err().unwrap().kind(), ErrorKind::Locked);
    assert!(files.crash_clone(&mut AllKept).lock(&path("LOCK")).is_ok());
    drop(held);
    drop(files.lock(&path("LOCK")).unwrap());
    files.set_capacity_bytes(Some(10));
    assert_eq!(files.free_bytes(&path("")), Some(7));
    assert_eq!(file.write_at(&[1; 20], 0).err().unwrap().kind(), ErrorKind::NoSpace);
    file.write_at(&[1; 10], 0).unwrap();
    assert_eq!(files.create(&path("a")).err().unwrap().os_code(), Some(libc::EEXIST));
    assert_eq!(files.open(&path("x")).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(files.remove_dir(&path("")).err().unwrap().os_code(), Some(libc::ENOTEMPTY));
    assert_eq!(files.open(&path("a")).unwrap().write_at(b"x", 0).err().unwrap().os_code(), Some(libc::EBADF));
    assert_eq!(files.list(&path("nowhere")).err().unwrap().kind(), ErrorKind::NotFound);
    files.damage(&path("a"), 0, b"z").unwrap();
    assert_eq!(bytes(&files, "a").unwrap()[0], b'z');
}
