//! A live file whose index or footer is damaged: the database opens all the same, tells of it, and refuses what needs the file and
//! nothing else. Put back as it was, it shows that nothing was lost meanwhile: families, and tables in both formats.
#![cfg(feature = "parquet")]

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sstore::observe::EventKind;
use sstore::{
    CloseOptions, ColumnFamily, Db, Error, ErrorKind, IterOptions, KeyOptions, KeyRange, Options, ReadOptions,
    RepairOptions, ScanOptions, Segment, Table, WriteOptions,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a collection holds.
type Content = BTreeMap<i64, String>;

const WRITE: WriteOptions = WriteOptions { durability: None, no_stall: false };
/// The keys of the file that is damaged, and of another.
const DAMAGED: Range<i64> = 0..100;
const SOUND: Range<i64> = 200..300;

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Family,
    Parquet,
    Arrow,
}

const KINDS: [Kind; 3] = [Kind::Family, Kind::Parquet, Kind::Arrow];

enum Collection {
    Family(ColumnFamily),
    Table(Table),
}

fn options() -> Options {
    Options::new().with("compaction_trigger_runs", "4").unwrap()
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, false)]))
}

fn key(id: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
    RecordBatch::try_new(Arc::new(schema().project(&[0]).unwrap()), vec![ids]).unwrap()
}

impl Collection {
    fn create(db: &Db, kind: Kind, name: &str) -> Self {
        let format = if kind == Kind::Arrow { "arrow" } else { "parquet" };
        let options = options().with("table_format", format).unwrap();
        match kind {
            Kind::Family => Self::Family(db.create_column_family(name, &options).unwrap()),
            _ => Self::Table(db.create_table(name, &schema(), &["id"], &KeyOptions::default(), &options).unwrap()),
        }
    }

    fn open(db: &Db, kind: Kind, name: &str) -> Self {
        match kind {
            Kind::Family => Self::Family(db.column_family(name).unwrap()),
            _ => Self::Table(db.table(name).unwrap()),
        }
    }

    fn put(&self, db: &Db, ids: Range<i64>, name: &str) {
        match self {
            Self::Family(family) => {
                for id in ids {
                    db.put(family, &id.to_be_bytes(), format!("{name}{id}").as_bytes(), &WRITE).unwrap();
                }
            }
            Self::Table(table) => {
                let columns: Vec<ArrayRef> = vec![
                    Arc::new(Int64Array::from_iter_values(ids.clone())),
                    Arc::new(StringArray::from_iter_values(ids.map(|id| format!("{name}{id}")))),
                ];
                db.append(table, &RecordBatch::try_new(schema(), columns).unwrap(), &WRITE).unwrap();
            }
        }
    }

    fn delete(&self, db: &Db, id: i64) {
        let deleted = match self {
            Self::Family(family) => db.delete(family, &id.to_be_bytes(), &WRITE),
            Self::Table(table) => db.delete_from(table, &key(id), &WRITE),
        };
        deleted.unwrap();
    }

    fn get(&self, db: &Db, id: i64) -> Result<Option<String>, Error> {
        let read = ReadOptions::default();
        Ok(match self {
            Self::Family(family) => {
                db.get(family, &id.to_be_bytes(), &read)?.map(|value| String::from_utf8(value.to_vec()).unwrap())
            }
            Self::Table(table) => {
                let row = db.get_row(table, &key(id), None, &read)?;
                row.map(|row| row.column(1).as_string::<i32>().value(0).to_owned())
            }
        })
    }

    fn range(&self, db: &Db, ids: Option<Range<i64>>) -> Result<Content, Error> {
        let mut content = Content::new();
        match self {
            Self::Family(family) => {
                let bytes = |id: i64| Some(id.to_be_bytes().to_vec());
                let range =
                    ids.map_or(KeyRange::all(), |ids| KeyRange { lower: bytes(ids.start), upper: bytes(ids.end) });
                let mut iterator = db.iterator(family, IterOptions { range, ..IterOptions::default() })?;
                let mut valid = iterator.seek_to_first()?;
                while valid {
                    let id = i64::from_be_bytes(iterator.key().try_into().unwrap());
                    content.insert(id, String::from_utf8(iterator.value().to_vec()).unwrap());
                    valid = iterator.next()?;
                }
            }
            Self::Table(table) => {
                let bound = |id: i64| Some(vec![Arc::new(Int64Array::from(vec![id])) as ArrayRef]);
                let scan = match ids {
                    Some(ids) => {
                        ScanOptions { start: bound(ids.start), stop: bound(ids.end), ..ScanOptions::default() }
                    }
                    None => ScanOptions::default(),
                };
                for batch in db.scan(table, &scan, &ReadOptions::default())? {
                    let batch = batch?;
                    let (ids, names) =
                        (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
                    content.extend(ids.values().iter().copied().zip(names.iter().map(|name| name.unwrap().to_owned())));
                }
            }
        }
        Ok(content)
    }

    fn segments(&self, db: &Db) -> Vec<Segment> {
        match self {
            Self::Family(family) => db.segments(family).unwrap(),
            Self::Table(table) => db.table_segments(table).unwrap(),
        }
    }

    fn compact(&self, db: &Db) -> Result<(), Error> {
        match self {
            Self::Family(family) => db.compact(family),
            Self::Table(table) => db.compact_table(table),
        }
    }
}

fn flush(db: &Db) {
    db.flush(&[]).unwrap().wait(Some(Duration::from_secs(60))).unwrap();
}

fn counter(db: &Db, name: &str) -> u64 {
    db.stats().counters.iter().find(|(counter, _)| *counter == name).unwrap().1
}

/// A closed database with a collection `hit` in two files, and one `sound`, of each kind.
struct World {
    dir: tempfile::TempDir,
    kind: Kind,
    /// The file to damage, and its bytes.
    victim: PathBuf,
    bytes: Vec<u8>,
    model: Content,
}

impl World {
    fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("db"), &options()).unwrap();
        let hit = Collection::create(&db, kind, "hit");
        let mut model = Content::new();
        let sound = KINDS.map(|kind| Collection::create(&db, kind, &format!("sound{kind:?}").to_lowercase()));
        for ids in [DAMAGED, SOUND] {
            [&hit].into_iter().chain(&sound).for_each(|collection| collection.put(&db, ids.clone(), "old"));
            model.extend(ids.map(|id| (id, format!("old{id}"))));
            flush(&db);
        }
        let victim = hit.segments(&db)[0].path.clone();
        // Of Arrow IPC the index lies beside.
        let victim = if kind == Kind::Arrow { victim.with_file_name("index.sst") } else { victim };
        drop((hit, sound));
        db.close(&CloseOptions::default()).unwrap();
        let bytes = std::fs::read(&victim).unwrap();
        Self { dir, kind, victim, bytes, model }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    fn damage(&self) {
        let mut damaged = self.bytes.clone();
        let at = damaged.len() - 20;
        damaged[at] ^= 0x10;
        std::fs::write(&self.victim, damaged).unwrap();
    }

    fn open(&self) -> Db {
        Db::open(self.path(), &options()).unwrap()
    }

    /// Whether an error is that of the damaged file, whoever tells it.
    fn is_named(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Corruption && error.path() == Some(&self.victim) && error.offset().is_some()
    }

    #[track_caller]
    fn assert_refused<T>(&self, result: Result<T, Error>, what: &str) {
        match result {
            Ok(_) => panic!("{:?}: {what} does without the damaged file", self.kind),
            Err(error) => assert!(self.is_named(&error), "{:?}: {what} names something else: {error:?}", self.kind),
        }
    }
}

fn each(test: impl Fn(World)) {
    KINDS.into_iter().for_each(|kind| test(World::new(kind)));
}

#[test]
fn it_is_told_and_only_reads_that_need_the_file_are_refused() {
    each(|world| {
        world.damage();
        for read_only in ["true", "false"] {
            let told = Arc::new(Mutex::new(Vec::new()));
            let mut options = options().with("read_only", read_only).unwrap();
            let events = told.clone();
            options.set_listener(Arc::new(move |event| {
                if event.kind == EventKind::FileBroken {
                    events.lock().unwrap().push(event.clone());
                }
            }));
            let db = Db::open(world.path(), &options).unwrap();
            let error = db.background_error().expect("the health tells of the file");
            assert!(world.is_named(&error), "{error:?}");
            world.assert_refused(db.verify(), "verify");

            let hit = Collection::open(&db, world.kind, "hit");
            for id in SOUND.start..SOUND.end + 9 {
                assert_eq!(hit.get(&db, id).unwrap().as_ref(), world.model.get(&id), "{:?}: key {id}", world.kind);
            }
            for ids in [SOUND, 250..9999, 100..200, -50..0] {
                let expected: Content = world.model.range(ids.clone()).map(|(id, name)| (*id, name.clone())).collect();
                assert_eq!(hit.range(&db, Some(ids)).unwrap(), expected, "{:?}", world.kind);
            }
            world.assert_refused(hit.get(&db, 7), "a get");
            world.assert_refused(hit.range(&db, Some(99..300)), "a range");
            world.assert_refused(hit.range(&db, None), "a whole scan");
            let read = ReadOptions::default();
            match &hit {
                Collection::Family(family) => {
                    world.assert_refused(db.contains(family, &7i64.to_be_bytes(), &read), "contains");
                    world.assert_refused(db.multi_get(family, &[&7i64.to_be_bytes()], &read), "multi_get");
                    world.assert_refused(db.live_files(family, &read), "the list of files");
                }
                Collection::Table(table) => {
                    world.assert_refused(db.explain(table, &ScanOptions::default(), &read), "explain");
                    world.assert_refused(db.splits(table, &ScanOptions::default(), &read, 1), "splits");
                    world.assert_refused(db.table_live_files(table, &read), "the list of files");
                }
            }
            assert_eq!(hit.segments(&db).len(), 2, "it is still one of the files");
            for kind in KINDS {
                let sound = Collection::open(&db, kind, &format!("sound{kind:?}").to_lowercase());
                assert_eq!(sound.range(&db, None).unwrap(), world.model, "{kind:?} beside {:?}", world.kind);
            }
            drop(hit);
            db.close(&CloseOptions::default()).unwrap();
            let told = told.lock().unwrap();
            let [event] = &told[..] else { panic!("{:?}: {told:?}", world.kind) };
            let text = event.to_string();
            assert!(
                text.contains("file_broken collection=hit number=") && text.contains(world.victim.to_str().unwrap())
            );
        }
    });
}

#[test]
fn what_is_written_and_merged_meanwhile_fits_the_file_when_it_is_whole_again() {
    each(|mut world| {
        world.damage();
        let db = world.open();
        let hit = Collection::open(&db, world.kind, "hit");
        for round in 0..6 {
            // Deletes of what only the damaged file holds: a merge that forgot it would drop them.
            hit.delete(&db, round);
            world.model.remove(&round);
            for ids in [50 + round..52 + round, 400..500] {
                hit.put(&db, ids.clone(), "new");
                world.model.extend(ids.map(|id| (id, format!("new{id}"))));
            }
            flush(&db);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while counter(&db, "compactions") == 0 {
            assert!(Instant::now() < deadline, "{:?}: newer files are merged", world.kind);
            std::thread::sleep(Duration::from_millis(10));
        }
        world.assert_refused(hit.compact(&db), "a merge of everything");
        assert!(db.background_error().is_some(), "{:?}: a flush that went well heals no file", world.kind);
        assert_eq!(hit.get(&db, 3).unwrap(), None, "what is newer hides the file");
        assert_eq!(hit.get(&db, 55).unwrap().as_deref(), Some("new55"));
        world.assert_refused(hit.get(&db, 70), "a get");
        drop(hit);
        db.close(&CloseOptions::default()).unwrap();

        std::fs::write(&world.victim, &world.bytes).unwrap();
        let db = world.open();
        assert!(db.background_error().is_none());
        db.verify().unwrap();
        let hit = Collection::open(&db, world.kind, "hit");
        assert!(hit.range(&db, None).unwrap() == world.model, "{:?}: nothing lost, nothing back", world.kind);
        hit.compact(&db).unwrap();
        assert_eq!(hit.range(&db, None).unwrap(), world.model, "{:?}", world.kind);
    });
}

#[test]
fn what_nobody_names_stays_beside_it_for_a_repair() {
    each(|world| {
        let stray = match world.kind {
            Kind::Family => world.victim.with_file_name("000900.sst"),
            Kind::Parquet => world.victim.with_file_name("000900.parquet"),
            Kind::Arrow => world.victim.parent().unwrap().with_file_name("1763689123123456789.tmp"),
        };
        let make = || match world.kind {
            Kind::Arrow => std::fs::create_dir(&stray).unwrap(),
            _ => std::fs::write(&stray, b"of a merge that a crash cut short").unwrap(),
        };
        world.damage();
        make();
        world.open().close(&CloseOptions::default()).unwrap();
        assert!(stray.exists(), "{:?}: deleted beside a file that does not open", world.kind);
        std::fs::write(&world.victim, &world.bytes).unwrap();
        world.open().close(&CloseOptions::default()).unwrap();
        assert!(!stray.exists(), "{:?}: kept although every file opens", world.kind);
    });
}

#[test]
fn a_missing_file_refuses_the_opening() {
    each(|world| {
        std::fs::remove_file(&world.victim).unwrap();
        for read_only in ["true", "false"] {
            let error = Db::open(world.path(), &options().with("read_only", read_only).unwrap()).err().unwrap();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(&*world.victim)), "{error}");
        }
        std::fs::write(&world.victim, &world.bytes).unwrap();
        let db = world.open();
        assert_eq!(
            Collection::open(&db, world.kind, "hit").range(&db, None).unwrap(),
            world.model,
            "nothing has changed"
        );
    });
}

#[test]
fn a_repair_takes_what_is_left_and_a_drop_is_a_way_out_too() {
    each(|world| {
        world.damage();
        let db = world.open();
        Collection::open(&db, world.kind, "hit").put(&db, 500..510, "new");
        db.close(&CloseOptions::default()).unwrap();

        let repaired = world.dir.path().join("repaired");
        Db::repair(world.path(), &repaired, &RepairOptions::default()).unwrap();
        let db = Db::open(&repaired, &options()).unwrap();
        assert!(db.background_error().is_none());
        let left = Collection::open(&db, world.kind, "hit").range(&db, None).unwrap();
        let rows = |ids: Range<i64>| left.range(ids).count();
        assert_eq!((rows(SOUND), rows(500..510)), (100, 10), "{:?}: {left:?}", world.kind);
        assert!(left.iter().all(|(id, name)| *id >= 500 || world.model[id] == *name));
        drop(db);

        let db = world.open();
        match Collection::open(&db, world.kind, "hit") {
            Collection::Family(family) => db.drop_column_family(&family).unwrap(),
            Collection::Table(table) => db.drop_table(&table).unwrap(),
        }
        assert!(db.background_error().is_none(), "{:?}: of a collection that is gone", world.kind);
        db.close(&CloseOptions::default()).unwrap();
        let db = world.open();
        assert!(db.background_error().is_none());
    });
}
