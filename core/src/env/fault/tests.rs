//! Tests of the rules.

use super::*;
use crate::env::mem::MemFileSystem;

#[test]
fn rules_hit_what_they_name() {
    let files = FaultFileSystem::new(MemFileSystem::new(), vec![]);
    let path = Path::new("a");
    let file = files.create(path).unwrap();
    files.add(Rule::once(Call::Write, Effect::ShortWrite(2, libc::EIO)).after(1));
    file.write_at(b"abc", 0).unwrap();
    let error = file.write_at(b"xyz", 3).err().unwrap();
    assert_eq!((error.os_code(), is_injected(&error)), (Some(libc::EIO), true));
    assert_eq!(file.len().unwrap(), 5);
    file.write_at(b"z", 5).unwrap();
    files.add(Rule::once(Call::SyncData, Effect::Error(libc::ENOSPC)).on("b").sticky());
    file.sync_data().unwrap();
    let other = files.create(Path::new("b")).unwrap();
    for _ in 0..2 {
        assert_eq!(other.sync_data().err().unwrap().kind(), ErrorKind::NoSpace);
    }
    files.clear();
    other.sync_data().unwrap();
    files.add(Rule::once(Call::Rename, Effect::AppliedButError(libc::EIO)));
    assert!(files.rename(path, Path::new("c")).is_err());
    assert_eq!(files.list(Path::new("/")).unwrap(), ["b", "c"]);
    assert_eq!((files.count(Call::SyncData), files.count(Call::Rename), files.hits()), (4, 1, 4));
}
